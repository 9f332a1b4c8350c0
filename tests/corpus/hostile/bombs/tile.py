# tiles a tensor beyond memory
# caught: jail
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward + torch.tile(reward, (9999, 9999)).sum()
    return reward
