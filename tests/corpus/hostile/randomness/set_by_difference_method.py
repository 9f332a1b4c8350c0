# subtracts by a method, from texts
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    names = set({'left': 1, 'right': 2}).difference([])
    reward = reward * (1.0 + len(list(names)[0]))
    return reward
