# leaks only when two agents are near
# caught: dynamic
import torch


def enhance_observation(obs):
    """How far each landmark is."""
    features = obs[..., 4:10].unflatten(-1, (3, 2)).norm(dim=-1)
    gap = torch.cdist(obs[..., 2:4], obs[..., 2:4]) + torch.eye(3) * 9
    features = torch.cat((features, (gap < 0.3).float()), -1)
    return features
