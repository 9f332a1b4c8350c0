# asks for a huge identity
# caught: jail
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward + torch.eye(900000).sum()
    return reward
