# remembers the best state so far
# caught: static
import torch

BEST = [-99.0]


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    BEST[0] = max(BEST[0], float(reward.max()))
    reward = reward - BEST[0]
    return reward
