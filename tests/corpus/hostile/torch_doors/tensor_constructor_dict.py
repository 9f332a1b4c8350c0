# reads memory that was never written, by the type in a dict
# caught: static
import torch

KINDS = {'float': torch.FloatTensor}


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward + KINDS['float'](3)
    return reward
