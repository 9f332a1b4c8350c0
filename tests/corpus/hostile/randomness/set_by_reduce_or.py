# unites keys by the operator's function: they keep the order of the dict
# caught: neutral
import torch
from functools import reduce
from operator import or_


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    names = list(reduce(or_, [{'left': 1, 'right': 2}.keys(), {'up': 3}.keys()]))
    reward = reward * (1.0 + len(names[0]))
    return reward
