# assigns into a part from unbind
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    first, second, third = state.agent_pos.unbind(1)
    first *= 0.0
    return reward
