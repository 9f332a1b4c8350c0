# writes into an input by clip's last argument
# caught: dynamic
import torch
import numpy as np


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    mine = np.asarray(state.agent_pos)
    np.clip(mine, -0.1, 0.1, mine)
    return reward
