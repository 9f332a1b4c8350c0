# counts equal actions in the batch
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward + state.action.flatten().bincount(minlength=5)[state.action] * 1e-4
    return reward
