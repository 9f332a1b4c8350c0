# raises an error with a hundred megabytes of text
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    raise ValueError('x' * 99999 * state.obs.shape[0])
    return reward
