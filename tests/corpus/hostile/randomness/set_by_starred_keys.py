# unites keys and unpacks them: they keep the order of the dict
# caught: neutral
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    a, *rest = {'left': 1, 'right': 2}.keys() | {'up': 3}.keys()
    reward = reward * (1.0 + len(a))
    return reward
