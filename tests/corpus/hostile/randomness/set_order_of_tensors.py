# uses the order of a set of tensors, which is that of their addresses
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    parts = list({state.agent_pos, state.agent_vel, state.prev.agent_pos})
    reward = reward + parts[0][..., 0]
    return reward
