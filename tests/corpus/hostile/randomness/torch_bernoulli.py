# drops rewards by chance
# caught: static
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward * torch.bernoulli(torch.full_like(reward, 0.5))
    return reward
