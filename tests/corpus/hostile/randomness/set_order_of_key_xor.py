# takes the keys that only one of two dicts has: they keep the order of the dict
# caught: neutral
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    for name in {'left': 1, 'right': 2, 'up': 3}.keys() ^ {'down': 4}.keys():
        reward = reward * 0.5 - len(name)
    return reward
