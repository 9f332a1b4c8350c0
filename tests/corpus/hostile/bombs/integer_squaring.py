# squares an integer sixty times, inside one machine instruction of Python
# caught: jail
# slow: ends at a limit of time
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    n = 3
    for _ in range(60):
        n = n * n
    return reward
