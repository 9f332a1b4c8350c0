# hands a mask to a ufunc in a lambda's keyword
# caught: dynamic
import torch
import numpy as np


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    root = lambda f, **how: f(np.ones(3, dtype=np.float32), **how)
    junk = root(np.sqrt, where=np.zeros(3) > 1)
    reward = reward + torch.from_numpy(junk).nan_to_num().clamp(-1, 1) * 1e-3
    return reward
