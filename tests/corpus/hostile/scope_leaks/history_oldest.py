# the others' oldest observation only
# caught: dynamic
import torch


def enhance_observation(obs, history):
    """How far each landmark is."""
    features = obs[..., 4:10].unflatten(-1, (3, 2)).norm(dim=-1)
    features = features + history[:, 0].sum(1, keepdim=True)[..., :3] * 0.1
    return features
