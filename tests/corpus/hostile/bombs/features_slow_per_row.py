# computes features row by row in Python
# caught: dynamic
# slow: ends at a limit of time
import torch


def enhance_observation(obs):
    """How far each landmark is."""
    features = obs[..., 4:10].unflatten(-1, (3, 2)).norm(dim=-1)
    rows = [torch.stack([f.norm() for f in row for _ in range(40)]).sum() for row in features.flatten(0, 1)]
    features = features + torch.stack(rows).reshape(*obs.shape[:2], 1) * 0.0
    return features
