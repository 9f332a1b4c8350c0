# asks for a huge tensor by a computed size
# caught: jail
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    n = 999
    reward = reward + torch.full((n, n, n, n), 1.0).sum()
    return reward
