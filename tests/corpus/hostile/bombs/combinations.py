# all combinations of ten
# caught: jail
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward + torch.combinations(reward.flatten(), r=10).sum()
    return reward
