# multiplies a million numbers into one
# caught: dynamic
# slow: ends at a limit of time
import torch
from functools import reduce
from operator import mul


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    n = reduce(mul, range(1, 900000))
    reward = reward + n % 7
    return reward
