# changes ALPHA after it was read, by assigning into it
# caught: dynamic
import torch

ALPHA = torch.tensor([0.5, 0.5, 0.5])


def global_reward(state):
    return state.reward.mean(-1)


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    ALPHA[0] = 50.0
    return reward
