# hands a ufunc and its mask to a helper
# caught: dynamic
import torch
import numpy as np

def call(function, *given, **named):
    return function(*given, **named)


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    junk = call(np.sqrt, np.ones(3, dtype=np.float32), where=np.zeros(3) > 1)
    reward = reward + torch.from_numpy(junk).nan_to_num().clamp(-1, 1)
    return reward
