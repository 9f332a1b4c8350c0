# changes the state of one step before
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    mine = state.prev.agent_pos
    mine[:] = state.agent_pos
    return reward
