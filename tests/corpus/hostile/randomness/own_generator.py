# draws from a generator of its own
# caught: static
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    g = torch.Generator().manual_seed(0)
    reward = reward + torch.rand(3, generator=g)
    return reward
