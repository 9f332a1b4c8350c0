# gives a view its date by a variable
# caught: dynamic
import torch
import numpy as np


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    kind = 'M8[us]'
    date = np.zeros(1, dtype=np.int64).view(kind)
    date[0] = 'now'
    reward = reward * (1 + float(date.view(np.int64)[0] % 1000) * 1e-5)
    return reward
