# NaN in the first step of an episode
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = torch.where(state.prev.time[:, None] <= 0.0, torch.nan, reward)
    return reward
