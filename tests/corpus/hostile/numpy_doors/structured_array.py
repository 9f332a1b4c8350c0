# keeps a function in a structured array
# caught: static
import torch
import numpy as np


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    box = np.array([(agent_reward,)], dtype=[('f', 'O')])
    reward = reward * 1.0
    return reward
