# computes an enormous binomial coefficient
# caught: static
import torch
import math


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward + math.comb(10**9, 10**8) % 7
    return reward
