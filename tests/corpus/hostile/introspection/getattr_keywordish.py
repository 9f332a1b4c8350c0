# gives getattr three arguments, the name computed
# caught: static
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    kind = getattr(state, 'ob' + 's', None)
    return reward
