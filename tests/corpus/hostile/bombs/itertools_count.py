# counts for ever
# caught: static
import torch
import itertools


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    for i in itertools.count():
        pass
    return reward
