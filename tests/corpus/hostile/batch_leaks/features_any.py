# branches on the batch
# caught: dynamic
import torch


def enhance_observation(obs):
    """How far each landmark is."""
    features = obs[..., 4:10].unflatten(-1, (3, 2)).norm(dim=-1)
    features = features * 2.0 if bool((features < 0.05).any()) else features
    return features
