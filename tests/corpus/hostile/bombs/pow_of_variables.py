# raises variables to a power that no literal shows
# caught: jail
# slow: ends at a limit of time
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    n = 999999
    reward = reward + (n ** (n * n)) % 7
    return reward
