# a count of features that depends on the batch
# caught: dynamic
import torch


def enhance_observation(obs):
    """How far each landmark is."""
    features = obs[..., 4:10].unflatten(-1, (3, 2)).norm(dim=-1)
    features = features[..., : 1 + obs.shape[0] % 3]
    return features
