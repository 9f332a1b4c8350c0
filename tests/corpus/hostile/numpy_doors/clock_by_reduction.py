# names a date's dtype in a ufunc's keyword under a local name
# caught: dynamic
import torch
import numpy as np


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    larger = np.maximum
    now = larger(['now'], ['now'], dtype='M8[us]', casting='unsafe').astype(np.int64)
    reward = reward * (1 + float(now[0] % 1000) * 1e-5)
    return reward
