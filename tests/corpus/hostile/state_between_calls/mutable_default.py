# counts in a mutable default
# caught: neutral
import torch

def tick(seen=[]):
    seen.append(1)
    return len(seen)


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward * tick()
    return reward
