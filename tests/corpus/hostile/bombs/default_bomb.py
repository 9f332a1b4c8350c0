# spends memory in a default argument
# caught: jail
import torch

def helper(x, table=torch.ones(99999, 99999)):
    return x


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward * 1.0
    return reward
