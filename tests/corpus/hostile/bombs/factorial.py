# computes an enormous factorial
# caught: static
import torch
import math


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward + math.factorial(10**9) % 7
    return reward
