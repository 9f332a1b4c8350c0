# raises an exception whose text has effects
# caught: static
import torch

class Bad(Exception):
    def __str__(self):
        return 'x' * 10**9


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    raise Bad()
    return reward
