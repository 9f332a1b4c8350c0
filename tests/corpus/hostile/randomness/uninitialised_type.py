# reads memory that was never written, by a type as a value
# caught: static
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    make = torch.FloatTensor
    reward = reward + make(3).nan_to_num().clamp(-1, 1)
    return reward
