# a Greek letter that looks Latin
# caught: static
import torch

ΑLPHA = 0.5
ALPHA = 0.5


def agent_reward(state):
    return state.reward * ΑLPHA
