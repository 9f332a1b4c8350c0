# a dict with huge keys
# caught: jail
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    table = {}
    for i in range(99999):
        table[(i,) * 99999] = i
    reward = reward + len(table)
    return reward
