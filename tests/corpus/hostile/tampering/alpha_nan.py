# an ALPHA that is no number
# caught: dynamic
import torch

ALPHA = float("nan")


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward * 1.0
    return reward
