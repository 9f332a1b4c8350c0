# shadows a builtin by a walrus in a comprehension
# caught: static
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward + sum([(eval := 1) for _ in range(3)])
    return reward
