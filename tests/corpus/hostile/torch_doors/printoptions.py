# changes how tensors are printed
# caught: static
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    torch.set_printoptions(precision=1)
    return reward
