# counts in a tensor
# caught: static
import torch

COUNT = torch.zeros(1)


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    COUNT[0] = COUNT[0] + 1
    reward = reward * COUNT[0]
    return reward
