# inverts a large matrix
# caught: dynamic
# slow: ends at a limit of time
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    m = torch.eye(3000)
    for _ in range(9):
        m = torch.linalg.pinv(m)
    reward = reward + m.mean()
    return reward
