# mixes agents by a wrong reshape
# caught: dynamic
import torch


def enhance_observation(obs):
    """How far each landmark is."""
    features = obs[..., 4:10].unflatten(-1, (3, 2)).norm(dim=-1)
    features = obs.reshape(obs.shape[0], -1, 3).sum(1)[:, None].expand(-1, 3, -1) * 0.1
    return features
