# multiplies by the size of the batch
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward * (state.obs.shape[0] / 1000)
    return reward
