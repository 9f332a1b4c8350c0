# calls itself twice, sixty deep
# caught: dynamic
# slow: ends at a limit of time
import torch

def tree(n):
    return 0 if n == 0 else tree(n - 1) + tree(n - 1)


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward + tree(60)
    return reward
