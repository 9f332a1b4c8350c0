# branches on whether any row collides
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward * 2.0 if bool((reward > -0.05).any()) else reward
    return reward
