# Kronecker products without end
# caught: jail
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    k = reward
    for _ in range(9):
        k = torch.kron(k, reward)
    reward = reward + k.sum()
    return reward
