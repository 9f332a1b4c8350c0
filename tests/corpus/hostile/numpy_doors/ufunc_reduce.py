# uses a ufunc's method
# caught: static
import torch
import numpy as np


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward + np.add.reduce([1.0])
    return reward
