# layer norm over the batch
# caught: dynamic
import torch
import torch.nn.functional as F


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = F.layer_norm(reward.T, (reward.shape[0],)).T
    return reward
