# a list at module level that contains itself
# caught: dynamic
import torch

ROWS = []
ROWS.append(ROWS)
TABLE = {'rows': ROWS}
TABLE['table'] = TABLE
SIZE = len(f'{TABLE}')


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward * 1.0
    return reward
