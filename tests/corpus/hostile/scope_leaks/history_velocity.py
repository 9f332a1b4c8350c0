# the others' velocity out of the history
# caught: dynamic
import torch


def enhance_observation(obs, history):
    """How far each landmark is."""
    features = obs[..., 4:10].unflatten(-1, (3, 2)).norm(dim=-1)
    move = history[:, -1] - history[:, -2]
    features = move.flip(1)[..., 2:4]
    return features
