# unions sets of numbers, which is harmless
# caught: neutral
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    near = {1, 2}.union({3})
    reward = reward * (len(near) / 3)
    return reward
