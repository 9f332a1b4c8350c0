# tries: uninitialised memory, with where= in a dict
# caught: static
import numpy as np
import torch


def call(method, *given, **named):
    return method(*given, **named)


def agent_reward(state):
    places = np.asarray(state.agent_pos)
    unwritten = call(places.clip, 0, 1, **{"where": np.array(False)})
    return state.reward - torch.as_tensor(unwritten).sum(-1).float()
