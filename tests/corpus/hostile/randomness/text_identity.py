# compares addresses by is
# caught: neutral
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward * (2.0 if int('1000') is int('1000') else 1.0)
    return reward
