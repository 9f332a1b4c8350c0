# counts the permutations of twelve
# caught: dynamic
# slow: ends at a limit of time
import torch
from itertools import permutations


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    n = sum(1 for _ in permutations(range(12)))
    reward = reward + n
    return reward
