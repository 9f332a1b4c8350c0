# raises ten to the ten thousand millionth
# caught: static
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward + (10 ** 10 ** 10) % 7
    return reward
