# spends memory when the module is loaded
# caught: jail
import torch

TABLE = torch.ones(99999, 99999)


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward * 1.0
    return reward
