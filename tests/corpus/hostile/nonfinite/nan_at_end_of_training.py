# NaN at the very end of a training
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = torch.where(state.training_progress[:, None] >= 0.999, torch.nan, reward)
    return reward
