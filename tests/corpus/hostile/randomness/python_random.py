# draws by Python's random
# caught: static
import torch
import random


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward + random.random()
    return reward
