# reads memory that was never written, by the type given to map
# caught: static
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward + list(map(torch.FloatTensor, [3]))[0]
    return reward
