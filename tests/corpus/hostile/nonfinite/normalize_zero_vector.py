# normalises a velocity that may be zero
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    v = state.agent_vel
    reward = reward + (v / v.norm(dim=-1, keepdim=True)).sum(-1)
    return reward
