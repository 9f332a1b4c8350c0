# pays for the difference to the row before
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = torch.diff(reward, dim=0, prepend=reward[:1])
    return reward
