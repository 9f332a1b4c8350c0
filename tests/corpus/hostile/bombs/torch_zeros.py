# asks for four terabytes of zeros
# caught: jail
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward + torch.zeros(10**6, 10**6).sum()
    return reward
