# runs code when an object dies
# caught: static
import torch
import weakref


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    weakref.finalize(reward, print)
    return reward
