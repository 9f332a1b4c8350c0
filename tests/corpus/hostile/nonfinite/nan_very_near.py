# NaN within a hundredth of a landmark
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = torch.where(reward > -0.02, torch.nan, reward)
    return reward
