# loops over a set of texts
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    weight = 1.0
    for name in {'left', 'right', 'up', 'down'}:
        weight = weight * 0.5 + len(name)
    reward = reward * weight
    return reward
