# sorts by the text of partials
# caught: dynamic
import torch
from functools import partial

def small():
    return 0.5


def large():
    return 2.0


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    best = sorted([small, large], key=partial(str))[0]
    reward = reward * best()
    return reward
