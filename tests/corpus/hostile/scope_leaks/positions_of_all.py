# distances between all agents by their rows
# caught: dynamic
import torch


def enhance_observation(obs):
    """How far each landmark is."""
    features = obs[..., 4:10].unflatten(-1, (3, 2)).norm(dim=-1)
    features = torch.cdist(obs[..., 2:4], obs[..., 2:4])
    return features
