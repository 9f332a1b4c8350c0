# leaks into the last agent's row only
# caught: dynamic
import torch


def enhance_observation(obs):
    """How far each landmark is."""
    features = obs[..., 4:10].unflatten(-1, (3, 2)).norm(dim=-1)
    features = torch.cat((features[:, :-1], features[:, -1:] + obs[:, :1, 2:3]), 1)
    return features
