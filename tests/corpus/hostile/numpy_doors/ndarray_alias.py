# reads memory that was never written, by the type
# caught: static
import torch
import numpy as np

Box = np.ndarray


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward + float(Box((3,)).sum())
    return reward
