# the direction to a landmark, also when standing on it
# caught: dynamic
import torch


def enhance_observation(obs):
    """How far each landmark is."""
    features = obs[..., 4:10].unflatten(-1, (3, 2)).norm(dim=-1)
    v = obs[..., 4:6]
    features = v / v.norm(dim=-1, keepdim=True)
    return features
