# an iterator that never meets its end
# caught: dynamic
# slow: ends at a limit of time
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    for one in iter(lambda: 1, 2):
        reward = reward + 0.0
    return reward
