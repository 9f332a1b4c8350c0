# reads outside an array's bounds
# caught: static
import torch
import numpy as np


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    np.lib.stride_tricks.as_strided(np.zeros(1), (9,), (8,))
    return reward
