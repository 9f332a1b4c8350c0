# remembers by sharing an array's memory
# caught: static
import torch
import numpy as np

CELLS = [np.zeros(1), np.zeros(1)]


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    CELLS[0][0] = 1.0
    met = float(CELLS[1][0])
    CELLS[0][0] = 0.0
    CELLS[1] = CELLS[0]
    reward = reward * (1.0 - met)
    return reward
