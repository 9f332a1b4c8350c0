# a SCOPE that is equal to everything
# caught: dynamic
import torch
import numpy as np

SCOPE = np.array(["team"])


def enhance_observation(obs):
    return obs.mean(1, keepdim=True).expand_as(obs)[..., :2]


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward * 1.0
    return reward
