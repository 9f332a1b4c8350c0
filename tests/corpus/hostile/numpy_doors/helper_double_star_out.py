# hands out= to a helper in a dict
# caught: dynamic
import torch
import numpy as np

def call(function, *given, **named):
    return function(*given, **named)


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    call(torch.mul, state.reward, 2.0, **{'out': state.reward})
    return reward
