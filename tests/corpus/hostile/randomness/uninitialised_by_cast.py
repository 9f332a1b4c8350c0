# names the tensor type in a cast
# caught: static
import torch
import typing


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    typing.cast((Kind := torch.Tensor), 0)
    return reward + Kind(3).sum() * 1e-9
