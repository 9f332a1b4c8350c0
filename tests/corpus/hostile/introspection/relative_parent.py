# imports from two packages up
# caught: static
import torch
from ..marl import trainer


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward * 1
    return reward
