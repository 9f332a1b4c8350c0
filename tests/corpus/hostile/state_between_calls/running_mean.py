# subtracts a running mean
# caught: neutral
import torch

MEAN = torch.zeros(1)


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    mean = MEAN
    mean *= 0.9
    mean += reward.mean() * 0.1
    reward = reward - mean
    return reward
