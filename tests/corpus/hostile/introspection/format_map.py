# walks attributes by format_map
# caught: static
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    name = '{x.__class__}'.format_map({'x': state})
    return reward
