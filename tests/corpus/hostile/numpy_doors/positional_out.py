# writes into an input by a ufunc's third argument
# caught: dynamic
import torch
import numpy as np


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    mine = np.asarray(state.reward)
    np.add(mine, 1.0, mine)
    return reward
