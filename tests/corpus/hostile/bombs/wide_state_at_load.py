# holds ten million numbers at module level, to be compared after every call
# caught: dynamic
# slow: ends at a limit of time
import torch

TABLE = [[float(j) for j in range(999)] for i in range(9999)]


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward * 1.0
    return reward
