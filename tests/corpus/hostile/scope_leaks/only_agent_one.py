# leaks one column into one agent's row
# caught: dynamic
import torch


def enhance_observation(obs):
    """How far each landmark is."""
    features = obs[..., 4:10].unflatten(-1, (3, 2)).norm(dim=-1)
    extra = torch.zeros_like(features)
    extra[:, 1, 0] = obs[:, 2, 2]
    features = features + extra
    return features
