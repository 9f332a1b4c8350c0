# the root of a difference that is sometimes negative
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward + torch.sqrt(state.agent_pos[..., 0])
    return reward
