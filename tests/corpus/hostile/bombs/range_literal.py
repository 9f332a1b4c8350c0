# loops a thousand million times
# caught: static
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    for _ in range(10**9):
        reward = reward + 0.0
    return reward
