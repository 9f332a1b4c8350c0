# draws once, when the module is loaded
# caught: static
import torch

NOISE = torch.rand(1)


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward * NOISE
    return reward
