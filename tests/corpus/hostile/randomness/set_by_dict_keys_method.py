# asks a dict's keys whether they are disjoint, which is harmless
# caught: neutral
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    same = {'a': 1}.keys().isdisjoint({'b': 2})
    reward = reward * (1.0 + float(same))
    return reward
