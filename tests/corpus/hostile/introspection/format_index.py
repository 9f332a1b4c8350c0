# walks items by str.format
# caught: static
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    name = '{0[a].__class__}'.format({'a': state})
    return reward
