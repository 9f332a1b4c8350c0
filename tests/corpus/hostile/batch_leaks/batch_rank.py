# pays by rank in the batch
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward.argsort(0).argsort(0).float() / reward.shape[0]
    return reward
