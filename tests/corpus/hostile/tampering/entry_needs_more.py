# an entry with an argument that nobody gives
# caught: dynamic
import torch


def agent_reward(state, *, weight):
    return state.reward * weight
