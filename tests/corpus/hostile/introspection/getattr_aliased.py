# hands getattr on as a value
# caught: static
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    kind = list(map(getattr, [state], ['__class__']))
    return reward
