# pays for novelty in the batch
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    flat = state.agent_pos.flatten(1)
    reward = reward + torch.cdist(flat, flat).mean(-1, keepdim=True)
    return reward
