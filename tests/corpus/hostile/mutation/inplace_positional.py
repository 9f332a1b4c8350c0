# works in place by a positional argument
# caught: dynamic
import torch
import torch.nn.functional as F


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    F.relu(state.reward, True)
    return reward
