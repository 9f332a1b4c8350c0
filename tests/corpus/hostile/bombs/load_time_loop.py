# spends its time when the module is loaded
# caught: dynamic
# slow: ends at a limit of time
import torch

LOST = sum(1 for a in range(99999) for b in range(99999))


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward * LOST
    return reward
