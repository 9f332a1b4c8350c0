# multiplies in place under a local name
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    mine = state.agent_pos
    mine *= 2.0
    mine -= 0.5
    return reward
