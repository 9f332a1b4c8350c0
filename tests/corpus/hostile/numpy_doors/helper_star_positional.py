# hands a third argument to a ufunc by a starred tuple
# caught: dynamic
import torch
import numpy as np

def call(function, given):
    return function(*given)


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    mine = np.asarray(state.reward)
    call(np.add, (mine, 1.0, mine))
    return reward
