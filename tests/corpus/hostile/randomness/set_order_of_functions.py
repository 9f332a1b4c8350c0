# uses the order of a set of functions
# caught: dynamic
import torch

def small():
    return 0.5


def large():
    return 2.0


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward * list({small, large})[0]()
    return reward
