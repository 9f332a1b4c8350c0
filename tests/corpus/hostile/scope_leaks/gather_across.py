# gathers another agent's row by index
# caught: dynamic
import torch


def enhance_observation(obs):
    """How far each landmark is."""
    features = obs[..., 4:10].unflatten(-1, (3, 2)).norm(dim=-1)
    index = torch.tensor([1, 2, 0])
    features = obs[:, index, 2:4]
    return features
