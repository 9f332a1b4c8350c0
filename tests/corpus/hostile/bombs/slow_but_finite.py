# takes half a second a call
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    for _ in range(400000):
        reward = reward * 1.0
    return reward
