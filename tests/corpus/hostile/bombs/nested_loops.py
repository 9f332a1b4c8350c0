# loops over all rows in Python, three times
# caught: dynamic
# slow: ends at a limit of time
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    for a in range(state.obs.shape[0]):
        for b in range(state.obs.shape[0]):
            for c in range(99):
                reward = reward + 0.0
    return reward
