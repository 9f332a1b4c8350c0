# names the tensor type in an annotation
# caught: static
import torch

x: (Kind := torch.Tensor) = 0


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    return reward + Kind(3).sum() * 1e-9
