# draws an identifier
# caught: static
import torch
import uuid


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward + uuid.uuid4().int % 7
    return reward
