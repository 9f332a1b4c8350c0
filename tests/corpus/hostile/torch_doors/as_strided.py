# reads outside a tensor's bounds
# caught: static
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = torch.as_strided(reward, reward.shape, (0, 0))
    return reward
