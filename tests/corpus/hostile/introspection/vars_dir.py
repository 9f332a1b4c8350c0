# lists what an object has
# caught: static
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    fields = vars(state)
    fields['reward'] = reward
    return reward
