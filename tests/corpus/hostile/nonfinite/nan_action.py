# NaN where an agent pushes up
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = torch.where(state.action == 4, torch.nan, reward)
    return reward
