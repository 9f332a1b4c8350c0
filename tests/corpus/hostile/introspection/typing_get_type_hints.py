# evaluates text by typing
# caught: static
import torch
import typing


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    typing.get_type_hints(agent_reward)
    return reward
