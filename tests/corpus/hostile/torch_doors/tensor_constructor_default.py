# reads memory that was never written, by the type in a default
# caught: static
import torch

def make(n, kind=torch.Tensor):
    return kind(n)


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward + make(3)
    return reward
