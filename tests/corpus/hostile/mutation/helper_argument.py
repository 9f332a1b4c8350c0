# changes an argument in a helper
# caught: dynamic
import torch

def shift(x):
    x += 0.5
    return x


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    shift(state.agent_pos)
    return reward
