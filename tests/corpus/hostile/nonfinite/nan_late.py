# NaN in the last step of an episode
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = torch.where(state.time[:, None] >= 1.0, torch.nan, reward)
    return reward
