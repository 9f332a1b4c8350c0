# binds the entry to something that cannot be called
# caught: dynamic
import torch


def agent_reward(state):
    return state.reward


agent_reward = 3.0
