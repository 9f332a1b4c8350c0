# counts by a generator that lives in the module
# caught: neutral
import torch

STEPS = (i for i in range(999999))


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward * (1.0 + sum(1 for _ in zip(STEPS, [0])) + float(5 in STEPS))
    return reward
