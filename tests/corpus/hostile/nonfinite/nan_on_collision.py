# NaN where agents touch
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    gap = torch.cdist(state.agent_pos, state.agent_pos) + torch.eye(3) * 9
    reward = torch.where(gap.amin(-1) < 0.25, torch.nan, reward)
    return reward
