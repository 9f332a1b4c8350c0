# adds the last row's value
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward + reward[-1] * 0.01
    return reward
