# switches gradients on
# caught: static
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    with torch.enable_grad():
        reward = reward * 1
    return reward
