# changes ALPHA through a numpy array that shares its memory
# caught: dynamic
import torch
import numpy as np

ALPHA = np.array([0.5, 0.5, 0.5], dtype=np.float32)


def global_reward(state):
    return state.reward.mean(-1)


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    ALPHA[0] = ALPHA[0] + 9.0
    return reward
