# names the tensor type in isinstance and calls it
# caught: static
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    if isinstance(reward, (Kind := torch.Tensor)):
        reward = reward + Kind(3).sum() * 1e-9
    return reward
