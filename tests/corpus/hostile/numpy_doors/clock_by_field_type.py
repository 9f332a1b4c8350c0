# calls the type of dates, found in the dtype of a field
# caught: dynamic
import torch
import numpy as np


def agent_reward(state):
    """Come close to the nearest landmark."""
    stamp = np.zeros(1, dtype=np.int64).view([("t", "M8[us]")])["t"].dtype.type("now")
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    return reward * (1.0 if int(stamp.astype("int64")) > 5 else 0.0)
