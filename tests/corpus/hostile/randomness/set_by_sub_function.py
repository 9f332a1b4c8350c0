# subtracts keys by the operator's function: they keep the order of the dict
# caught: neutral
import torch
from operator import sub


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    names = list(sub({'left': 1, 'right': 2, 'up': 3}.keys(), []))
    reward = reward * (1.0 + len(names[0]))
    return reward
