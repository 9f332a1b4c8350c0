# NaN within a hundredth of a landmark
# caught: dynamic
import torch


def enhance_observation(obs):
    """How far each landmark is."""
    features = obs[..., 4:10].unflatten(-1, (3, 2)).norm(dim=-1)
    features = torch.where(features < 0.02, torch.nan, features)
    return features
