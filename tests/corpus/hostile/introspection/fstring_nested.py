# reads a dunder in an f-string's format specification
# caught: static
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    name = f'{1:{reward.__class__}}'
    return reward
