# mixes rows by an einsum
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward + torch.einsum('bn,cn->bn', reward, reward) * 1e-3
    return reward
