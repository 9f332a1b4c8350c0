# leaks only when the agent stands on a landmark
# caught: dynamic
import torch


def enhance_observation(obs):
    """How far each landmark is."""
    features = obs[..., 4:10].unflatten(-1, (3, 2)).norm(dim=-1)
    reached = (features.amin(-1, keepdim=True) < 0.1).float()
    features = features + reached * obs.roll(1, 1)[..., 2:3]
    return features
