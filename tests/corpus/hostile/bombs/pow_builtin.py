# raises to a power by a function
# caught: jail
# slow: ends at a limit of time
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    n = pow(999999, 99999999)
    reward = reward + n % 7
    return reward
