# joins a text array and a function by where
# caught: dynamic
import torch
import numpy as np


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    text = np.where(np.array([True]), np.array(['x' * 60]), np.array([print])).tolist()[0]
    words = np.array(['x' * 60])
    words[:] = print
    reward = reward + float('7' in words.tolist()[0]) * 1e-3
    return reward
