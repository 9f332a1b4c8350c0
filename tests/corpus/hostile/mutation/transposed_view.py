# assigns into a transposed view
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    mine = state.agent_pos.transpose(1, 2)
    mine[:, 0] = 0.0
    return reward
