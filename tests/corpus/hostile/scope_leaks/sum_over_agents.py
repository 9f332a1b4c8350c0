# shows the team's sum
# caught: dynamic
import torch


def enhance_observation(obs):
    """How far each landmark is."""
    features = obs[..., 4:10].unflatten(-1, (3, 2)).norm(dim=-1)
    features = features.sum(1, keepdim=True).expand_as(features)
    return features
