# counts in an array
# caught: neutral
import torch
import numpy as np

COUNT = np.zeros(1)


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    count = COUNT
    count += 1
    reward = reward * float(count[0])
    return reward
