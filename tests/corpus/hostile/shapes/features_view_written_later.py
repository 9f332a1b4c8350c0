# returns a view of its input after it has written into it
# caught: dynamic
import torch


def enhance_observation(obs):
    """How far each landmark is."""
    features = obs[..., 4:10].unflatten(-1, (3, 2)).norm(dim=-1)
    obs[..., 0] = obs[..., 0] * 2.0
    features = obs[..., 0:2]
    return features
