# runs code when a class is made
# caught: static
import torch

class Meta(type):
    def __new__(mcls, *a):
        return print


class A(metaclass=Meta):
    pass


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward * 1.0
    return reward
