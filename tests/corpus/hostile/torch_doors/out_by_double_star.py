# writes into an input by out= in a dict
# caught: static
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    torch.mul(state.reward, 2.0, **{'out': state.reward})
    return reward
