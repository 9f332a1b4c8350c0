# who is nearest to each landmark
# caught: dynamic
import torch


def enhance_observation(obs):
    """How far each landmark is."""
    features = obs[..., 4:10].unflatten(-1, (3, 2)).norm(dim=-1)
    features = torch.nn.functional.one_hot(features.argmin(1), 3).float()
    return features
