# assigns into a part from split
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    parts = state.obs.split(2, -1)
    parts[0][:] = 0.0
    return reward
