# runs code by a decorator expression
# caught: static
import torch

@(lambda f: f.__globals__)
def helper(x):
    return x


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward * 1.0
    return reward
