# pays by the row's number
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward + torch.arange(reward.shape[0])[:, None] * 1e-4
    return reward
