# uses the order of a set comprehension
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    names = [n for n in {w + 'x' for w in ('left', 'right', 'up')}]
    reward = reward * (1.0 + len(names[0]))
    return reward
