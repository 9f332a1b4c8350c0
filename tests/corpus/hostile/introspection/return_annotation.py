# runs code in the annotation of a return value
# caught: static
import torch

def helper(x) -> open('/canary/x', 'w'):
    return x


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward * 1.0
    return reward
