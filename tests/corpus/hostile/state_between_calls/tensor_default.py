# counts in a tensor as default
# caught: neutral
import torch

def tick(n=torch.zeros(1)):
    n += 1
    return n


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward * tick()
    return reward
