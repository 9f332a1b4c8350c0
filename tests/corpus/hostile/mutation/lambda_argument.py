# changes an argument through a dict of locals
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    box = {'x': state.reward}
    box['x'] += 1.0
    return reward
