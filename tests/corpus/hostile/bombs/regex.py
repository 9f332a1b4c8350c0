# a pattern with exponential backtracking
# caught: static
import torch
import re


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    re.match('(a+)+$', 'a' * 40 + 'b')
    return reward
