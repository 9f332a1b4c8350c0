# a millionth of the next row
# caught: dynamic
import torch


def enhance_observation(obs):
    """How far each landmark is."""
    features = obs[..., 4:10].unflatten(-1, (3, 2)).norm(dim=-1)
    features = features + obs.roll(1, 0)[..., :3] * 1e-6
    return features
