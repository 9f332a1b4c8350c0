# adds noise to features
# caught: static
import torch


def enhance_observation(obs):
    """How far each landmark is."""
    features = obs[..., 4:10].unflatten(-1, (3, 2)).norm(dim=-1)
    features = features + torch.randn_like(features) * 0.01
    return features
