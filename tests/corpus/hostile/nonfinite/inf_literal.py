# infinity in place of a penalty
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = torch.where(state.agent_pos[..., 0] > 0.5, -torch.inf, reward)
    return reward
