# sleeps
# caught: static
import torch
import time


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    time.sleep(1000)
    return reward
