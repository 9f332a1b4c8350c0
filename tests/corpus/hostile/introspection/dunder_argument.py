# names an argument like a dunder
# caught: static
import torch

def f(x, *, __class__=1):
    return x


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = f(reward)
    return reward
