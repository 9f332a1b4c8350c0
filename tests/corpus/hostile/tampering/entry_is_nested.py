# hides the entry inside another function
# caught: static
import torch


def outer():
    def agent_reward(state):
        return state.reward
    return agent_reward
