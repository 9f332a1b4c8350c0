# shows agent 0's row to all
# caught: dynamic
import torch


def enhance_observation(obs):
    """How far each landmark is."""
    features = obs[..., 4:10].unflatten(-1, (3, 2)).norm(dim=-1)
    features = obs[:, :1, 2:4].expand(-1, obs.shape[1], -1)
    return features
