# rebinds a closure's variable
# caught: static
import torch

def make():
    n = 0
    def step():
        nonlocal n
        n += 1
        return n
    return step


step = make()


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward * step()
    return reward
