# chains an iterator that never ends
# caught: dynamic
# slow: ends at a limit of time
import torch
from itertools import chain


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    n = sum(chain.from_iterable(iter(lambda: [1], 0)))
    reward = reward + n
    return reward
