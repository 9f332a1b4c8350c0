# infinity at the edge of the arena
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward - torch.relu(state.agent_pos.abs().amax(-1) - 1.0).pow(0.5) / (state.agent_pos.abs().amax(-1) < 1.0).float()
    return reward
