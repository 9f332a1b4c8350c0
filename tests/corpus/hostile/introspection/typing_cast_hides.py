# hides what a value is by typing.cast
# caught: static
import torch
from typing import cast


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    kind = cast(object, state).__class__
    return reward
