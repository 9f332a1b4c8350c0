# writes into an input through np.asarray
# caught: dynamic
import torch
import numpy as np


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    mine = np.asarray(state.reward)
    mine[:] = 0.0
    return reward
