# defines nothing that can be used
# caught: static
import torch


def reward(state):
    return state.reward
