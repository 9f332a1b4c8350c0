# reads memory that was never written
# caught: static
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward + torch.empty_like(reward).nan_to_num().clamp(-1, 1)
    return reward
