# builds a network with random weights
# caught: static
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward + torch.nn.Linear(14, 1)(state.obs[..., :14]).squeeze(-1)
    return reward
