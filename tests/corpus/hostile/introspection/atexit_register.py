# runs code at the end of the worker
# caught: static
import torch
import atexit


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    atexit.register(print)
    return reward
