# an ALPHA of one thousand
# caught: dynamic
import torch

ALPHA = 1000.0


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward * 1.0
    return reward
