# makes a date by a view and fills another with now
# caught: dynamic
import torch
import numpy as np


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    date = np.zeros(1, dtype=np.int64).view('M8[us]')
    now = np.full_like(date, 'now').view(np.int64)
    reward = reward * (1 + float(now[0] % 1000) * 1e-5)
    return reward
