# uses the order of a set with NaN, whose hash is its address
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    order = list({float('nan'), 1.0, 2.0, 3.0, 4.0})
    reward = reward + float(order[0] == 1.0)
    return reward
