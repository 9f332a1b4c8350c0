# changes the default type of all tensors
# caught: static
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    torch.set_default_dtype(torch.float64)
    return reward
