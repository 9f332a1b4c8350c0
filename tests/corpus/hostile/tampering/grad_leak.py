# returns a reward with a gradient history
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    w = torch.ones(1, requires_grad=True)
    reward = reward * w
    return reward
