# appends to the list it loops over
# caught: jail
# slow: ends at a limit of time
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    rows = [1]
    for row in rows:
        rows.append(row)
    return reward
