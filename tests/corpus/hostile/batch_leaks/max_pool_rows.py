# pools over the rows
# caught: dynamic
import torch
import torch.nn.functional as F


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = F.max_pool1d(reward.T, 3, 1, 1).T
    return reward
