# writes a function into a tile of texts
# caught: dynamic
import torch
import numpy as np


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    words = np.tile('x' * 60, 2)
    words[0] = print
    reward = reward + float('7' in words.tolist()[0]) * 1e-3
    return reward
