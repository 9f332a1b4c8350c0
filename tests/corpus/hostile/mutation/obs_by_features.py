# returns a view of the observation after it was changed
# caught: dynamic
import torch


def enhance_observation(obs):
    """How far each landmark is."""
    features = obs[..., 4:10].unflatten(-1, (3, 2)).norm(dim=-1)
    view = obs[..., 4:10]
    view *= 0.5
    features = view
    return features
