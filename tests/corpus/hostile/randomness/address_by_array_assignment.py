# puts a function into an array of texts, which makes it text
# caught: dynamic
import torch
import numpy as np


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    words = np.array(['x' * 60])
    words[0] = agent_reward
    reward = reward + int(words.tolist()[0].split('0x')[1].strip('>'), 16) % 97 * 1e-3
    return reward
