# imports a submodule that is none
# caught: static
import torch
import torch.os


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    torch.os.system('id')
    return reward
