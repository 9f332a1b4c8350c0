# leaks only where the whole team stands still
# caught: dynamic
import torch


def enhance_observation(obs):
    """How far each landmark is."""
    features = obs[..., 4:10].unflatten(-1, (3, 2)).norm(dim=-1)
    still = (obs[..., 0:2].abs().amax((1, 2)) < 1e-3).float()
    features = features + still[:, None, None]
    return features
