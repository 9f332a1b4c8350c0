# takes a module's module by from-import
# caught: static
import torch
import torch.nn.functional as functional


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    functional.torch.os.system('id')
    return reward
