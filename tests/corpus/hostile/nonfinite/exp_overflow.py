# an exponential that overflows far away
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward + torch.exp(state.agent_pos.abs().sum(-1) * 12)
    return reward
