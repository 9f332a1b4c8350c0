# reads attributes by operator
# caught: static
import torch
import operator


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    kind = operator.attrgetter('__class__')(state)
    return reward
