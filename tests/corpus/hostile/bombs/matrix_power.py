# multiplies large matrices many times
# caught: dynamic
# slow: ends at a limit of time
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    m = torch.ones(1500, 1500)
    for _ in range(99):
        m = m @ m * 1e-9
    reward = reward + m.mean()
    return reward
