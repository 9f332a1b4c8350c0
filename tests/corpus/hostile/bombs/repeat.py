# repeats a tensor beyond memory
# caught: jail
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward + reward.repeat(99999, 99999).sum()
    return reward
