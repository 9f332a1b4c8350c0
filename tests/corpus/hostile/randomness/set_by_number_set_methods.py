# unites a set of numbers with texts by a method
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    names = list({1}.union({'left': 1, 'right': 2}))
    reward = reward * (1.0 + len(str(names[0])))
    return reward
