# the standard deviation of one value
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward + state.agent_pos[:, :1].std(1).sum(-1, keepdim=True)
    return reward
