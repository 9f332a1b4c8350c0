# assigns into an expanded alias
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    mine = state.time.unsqueeze(-1).expand(-1, 1)
    mine[:] = 0.0
    return reward
