# reads memory that was never written, by the type under another name
# caught: static
import torch

Zeros = torch.Tensor


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward + Zeros(*reward.shape) * 0.0 + Zeros(3)
    return reward
