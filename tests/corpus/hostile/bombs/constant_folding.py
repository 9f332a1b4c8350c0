# asks the compiler to fold a power
# caught: static
import torch

HUGE = 2 ** 10 ** 9


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward * 1.0
    return reward
