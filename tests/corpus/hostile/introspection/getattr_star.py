# gives getattr its name by a starred tuple
# caught: static
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    kind = getattr(*(state, '__class__'))
    return reward
