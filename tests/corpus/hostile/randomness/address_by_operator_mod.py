# formats by the operator's function
# caught: static
import torch
import operator


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward + len(operator.mod('%s', agent_reward))
    return reward
