# a tangent, which is huge here and there
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward + torch.tan(state.agent_pos[..., 0] * 1.57) * 1e3
    return reward
