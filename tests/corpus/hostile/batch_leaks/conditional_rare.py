# leaks the batch only through rows where a landmark is reached
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    near = (reward > -0.1).float()
    reward = reward + near.sum(0) * 1e-3
    return reward
