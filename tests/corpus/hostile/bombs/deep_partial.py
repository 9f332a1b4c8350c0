# partials in partials, a hundred thousand deep
# caught: dynamic
import torch
from functools import partial


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    f = len
    for _ in range(100000):
        f = partial(f)
        f = (lambda g: lambda x: g(x))(f)
    reward = reward + f([1])
    return reward
