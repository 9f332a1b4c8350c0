# NaN at a batch of one, by a spread over the batch
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward if state.obs.shape[0] > 1 else reward * torch.nan
    return reward
