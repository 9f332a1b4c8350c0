# a window over the agents
# caught: dynamic
import torch


def enhance_observation(obs):
    """How far each landmark is."""
    features = obs[..., 4:10].unflatten(-1, (3, 2)).norm(dim=-1)
    padded = torch.cat((obs, obs[:, :1]), 1)
    features = padded[:, 1:, 2:4]
    return features
