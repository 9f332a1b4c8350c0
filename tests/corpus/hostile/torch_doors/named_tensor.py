# returns a tensor with named dimensions
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = torch.zeros(reward.shape, names=('B', 'N')) - 1
    return reward
