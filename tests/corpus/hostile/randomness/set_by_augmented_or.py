# unites keys in place: they keep the order of the dict
# caught: neutral
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    names = {'left': 1, 'right': 2}.keys()
    names |= {'up': 3}.keys()
    reward = reward * (1.0 + len(list(names)[0]))
    return reward
