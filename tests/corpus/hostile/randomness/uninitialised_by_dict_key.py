# keeps the tensor type as a key of what is called dict
# caught: static
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    dict = {}
    dict[torch.Tensor] = 1
    for kind in dict:
        reward = reward + kind(3).sum() * 1e-9
    return reward
