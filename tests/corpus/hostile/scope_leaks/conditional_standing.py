# leaks only when another agent stands still
# caught: dynamic
import torch


def enhance_observation(obs):
    """How far each landmark is."""
    features = obs[..., 4:10].unflatten(-1, (3, 2)).norm(dim=-1)
    still = (obs[..., 0:2].norm(dim=-1) < 0.01).float()
    features = features + still.sum(1)[:, None, None] * 0.1
    return features
