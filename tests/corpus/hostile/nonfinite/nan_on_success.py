# NaN once all landmarks are covered
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    solved = (torch.cdist(state.agent_pos, state.landmark_pos).amin(1) < 0.1).all(-1)
    reward = torch.where(solved[:, None], torch.nan, reward)
    return reward
