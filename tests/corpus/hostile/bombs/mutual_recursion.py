# two functions call each other for ever
# caught: dynamic
import torch

def a(n):
    return b(n)


def b(n):
    return a(n)


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward + a(1)
    return reward
