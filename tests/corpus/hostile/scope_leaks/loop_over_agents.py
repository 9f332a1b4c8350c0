# builds its features in a loop over all agents
# caught: dynamic
import torch


def enhance_observation(obs):
    """How far each landmark is."""
    features = obs[..., 4:10].unflatten(-1, (3, 2)).norm(dim=-1)
    rows = [torch.stack([obs[:, j, 2] - obs[:, i, 2] for j in range(3)], -1) for i in range(3)]
    features = torch.stack(rows, 1)
    return features
