# an angle of a product that rounding carries beyond one
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    v = state.agent_vel + 1e-8
    reward = reward + torch.acos((v * v).sum(-1) / (v.norm(dim=-1) * v.norm(dim=-1)) * 1.0000001)
    return reward
