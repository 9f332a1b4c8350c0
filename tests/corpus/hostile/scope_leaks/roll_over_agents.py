# shows the next agent's row
# caught: dynamic
import torch


def enhance_observation(obs):
    """How far each landmark is."""
    features = obs[..., 4:10].unflatten(-1, (3, 2)).norm(dim=-1)
    features = obs.roll(1, 1)[..., 0:4]
    return features
