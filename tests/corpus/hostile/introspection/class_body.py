# runs code in a class body
# caught: static
import torch

class A:
    x = 1.0
    for _ in range(3):
        x *= 2


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward * A.x
    return reward
