# a lambda that calls itself by its name
# caught: dynamic
import torch

loop = lambda n: loop(n + 1)


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward + loop(1)
    return reward
