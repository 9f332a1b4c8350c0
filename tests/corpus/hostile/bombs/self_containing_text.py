# a dict that contains itself, made text
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    table = {}
    table['a'] = table
    reward = reward + len(f'{table}')
    return reward
