# raises at the end of a training
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    if bool((state.training_progress > 0.95).any()):
        raise RuntimeError('out of luck')
    return reward
