# all permutations of eleven, by recursion
# caught: dynamic
# slow: ends at a limit of time
import torch

def orders(items):
    if not items:
        return [[]]
    return [[x, *rest] for i, x in enumerate(items) for rest in orders(items[:i] + items[i + 1:])]


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward + len(orders(list(range(11))))
    return reward
