# a reward that is huge when a landmark is reached
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward + (reward > -0.1).float() * 1e9
    return reward
