# changes its input only when a landmark is reached
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    mine = state.reward
    mine += (reward > -0.1).float()
    return reward
