# rebinds a global
# caught: static
import torch

STEPS = 0


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    global STEPS
    STEPS = STEPS + 1
    reward = reward * STEPS
    return reward
