# keeps objects in an array
# caught: static
import torch
import numpy as np


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    box = np.zeros(2, dtype='O')
    box[0] = agent_reward
    reward = reward + len(str(box)) * 1e-5
    return reward
