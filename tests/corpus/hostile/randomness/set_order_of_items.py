# intersects the items of two dicts: they keep the order of the dict
# caught: neutral
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    names = list({'left': 1, 'right': 2, 'up': 3}.items() & {'left': 1, 'right': 2, 'up': 3}.items())
    reward = reward * (1.0 + len(names[0][0]))
    return reward
