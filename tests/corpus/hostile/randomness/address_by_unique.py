# sorts texts of functions by numpy
# caught: dynamic
import torch
import numpy as np

def small():
    return 0.5


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    words = np.sort(np.array(['a', 'b' * 60]))
    words[1] = small
    reward = reward + len(words.tolist()[1]) * 1e-3 + float('7' in words.tolist()[1])
    return reward
