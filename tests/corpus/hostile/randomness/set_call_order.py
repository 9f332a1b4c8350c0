# uses the order of set() of texts
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    names = tuple(set(['left', 'right', 'up']))
    reward = reward * (1.0 + len(names[0]))
    return reward
