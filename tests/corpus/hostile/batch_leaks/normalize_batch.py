# normalises columns over the batch
# caught: dynamic
import torch
import torch.nn.functional as F


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = F.normalize(reward, dim=0)
    return reward
