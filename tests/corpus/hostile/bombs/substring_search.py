# searches text in a time that grows with the square
# caught: dynamic
# slow: ends at a limit of time
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    hay = 'a' * 999999
    needle = 'a' * 499999 + 'b' + 'a' * 400000
    for _ in range(9999):
        reward = reward + float(needle in hay)
    return reward
