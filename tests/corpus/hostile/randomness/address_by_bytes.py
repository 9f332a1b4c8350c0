# formats bytes
# caught: static
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    text = b'%a' % agent_reward
    reward = reward + len(text)
    return reward
