# runs code in an annotation
# caught: static
import torch

def helper(x: __import__('os').system('id')) -> None:
    return x


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward * 1.0
    return reward
