# hides a module in the default of a lambda
# caught: static
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = (lambda m=torch: m.os.getpid())() * reward
    return reward
