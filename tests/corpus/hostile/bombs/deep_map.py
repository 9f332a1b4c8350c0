# maps of maps, a hundred thousand deep, which may overflow the C stack
# caught: jail
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    rows = [1]
    for _ in range(100000):
        rows = map(float, rows)
    reward = reward + sum(rows)
    return reward
