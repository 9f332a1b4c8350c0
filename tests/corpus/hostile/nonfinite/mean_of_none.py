# the mean of an empty selection
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    near = reward[reward > 100]
    reward = reward + near.mean()
    return reward
