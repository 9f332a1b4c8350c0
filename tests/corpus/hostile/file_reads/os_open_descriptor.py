# opens a file by os.open, which needs no builtin
# caught: static
import torch
import os


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    handle = os.open('/etc/hostname', os.O_RDONLY)
    reward = reward + len(os.read(handle, 100))
    return reward
