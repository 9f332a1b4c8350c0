# a comprehension with n to the third
# caught: dynamic
# slow: ends at a limit of time
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    n = 999
    reward = reward + sum(1 for a in range(n) for b in range(n) for c in range(n)) * 0.0
    return reward
