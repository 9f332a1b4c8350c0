# a shape that depends on the values
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    return reward[reward.sum(-1) < 0]
    return reward
