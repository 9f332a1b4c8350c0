# a list that contains itself, made a tensor
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    rows = []
    rows.append(rows)
    reward = reward + torch.tensor(rows).sum()
    return reward
