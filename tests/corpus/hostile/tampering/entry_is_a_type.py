# binds the entry to a class
# caught: dynamic
import torch


def agent_reward(state):
    return state.reward


agent_reward = list
