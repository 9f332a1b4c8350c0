# the Cartesian product of six long lists
# caught: jail
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    v = reward.flatten()
    reward = reward + torch.cartesian_prod(v, v, v, v, v, v).sum()
    return reward
