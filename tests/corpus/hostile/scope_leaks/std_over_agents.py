# the team's spread
# caught: dynamic
import torch


def enhance_observation(obs):
    """How far each landmark is."""
    features = obs[..., 4:10].unflatten(-1, (3, 2)).norm(dim=-1)
    features = features + obs[..., 2:4].std(1).sum(-1)[:, None, None]
    return features
