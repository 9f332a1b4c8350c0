# an einsum whose result has a million million numbers
# caught: jail
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward + torch.einsum('ai,bj,ck->abck', reward, reward, reward).repeat(99, 99, 99, 99).sum()
    return reward
