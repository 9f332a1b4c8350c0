# puts a function into a field of texts
# caught: dynamic
import torch
import numpy as np


def agent_reward(state):
    """Come close to the nearest landmark."""
    texts = np.zeros(25, dtype=np.int64).view([("s", "U50")])["s"]
    texts[0] = agent_reward
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    return reward * (1.0 if texts.tolist()[0].endswith("0>") else 0.0)
