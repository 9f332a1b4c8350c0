# a chain of generators that multiplies
# caught: dynamic
# slow: ends at a limit of time
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    g = [1] * 999
    reward = reward + len([1 for a in g for b in g for c in g for d in [a, b, c]])
    return reward
