# accumulates products
# caught: dynamic
# slow: ends at a limit of time
import torch
from itertools import accumulate
from operator import mul


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    n = list(accumulate(range(1, 60000), mul))[-1]
    reward = reward + n % 7
    return reward
