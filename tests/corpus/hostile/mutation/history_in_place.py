# changes the history
# caught: dynamic
import torch


def enhance_observation(obs, history):
    """How far each landmark is."""
    features = obs[..., 4:10].unflatten(-1, (3, 2)).norm(dim=-1)
    mine = history
    mine[:, -1] = 0.0
    return features
