# uses the order of a set of texts, which differs from process to process
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    first = list({'left', 'right', 'up', 'down'})[0]
    reward = reward * (1.0 + len(first))
    return reward
