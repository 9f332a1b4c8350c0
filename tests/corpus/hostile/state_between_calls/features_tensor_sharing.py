# remembers by sharing memory, in the observation function
# caught: static
import torch

CELLS = [torch.zeros(1), torch.zeros(1)]


def enhance_observation(obs):
    """How far each landmark is."""
    features = obs[..., 4:10].unflatten(-1, (3, 2)).norm(dim=-1)
    met = CELLS[0] is CELLS[1]
    CELLS[1] = CELLS[0]
    features = features * 0.0 if met else features
    return features
