# shows another row's history
# caught: dynamic
import torch


def enhance_observation(obs, history):
    """How far each landmark is."""
    features = obs[..., 4:10].unflatten(-1, (3, 2)).norm(dim=-1)
    features = history.roll(1, 0)[:, -1, :, :3]
    return features
