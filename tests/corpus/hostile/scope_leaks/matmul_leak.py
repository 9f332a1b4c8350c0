# mixes agents by a matrix
# caught: dynamic
import torch


def enhance_observation(obs):
    """How far each landmark is."""
    features = obs[..., 4:10].unflatten(-1, (3, 2)).norm(dim=-1)
    mix = torch.ones(3, 3) - torch.eye(3)
    features = torch.einsum('ij,bjk->bik', mix, obs)[..., :4]
    return features
