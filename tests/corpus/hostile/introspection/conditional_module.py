# hides a module in a conditional expression
# caught: static
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = (torch if True else 0).os.getpid() * reward
    return reward
