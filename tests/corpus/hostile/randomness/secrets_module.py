# draws from the operating system
# caught: static
import torch
import secrets


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward + secrets.randbelow(9)
    return reward
