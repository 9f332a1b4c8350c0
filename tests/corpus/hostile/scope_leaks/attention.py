# attention over the team
# caught: dynamic
import torch


def enhance_observation(obs):
    """How far each landmark is."""
    features = obs[..., 4:10].unflatten(-1, (3, 2)).norm(dim=-1)
    weights = (obs @ obs.transpose(1, 2)).softmax(-1)
    features = (weights @ obs)[..., :4]
    return features
