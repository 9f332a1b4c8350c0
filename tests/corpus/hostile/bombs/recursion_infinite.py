# calls itself for ever
# caught: dynamic
import torch

def down(n):
    return down(n + 1)


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward + down(1)
    return reward
