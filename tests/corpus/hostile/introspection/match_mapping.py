# matches builtins by a mapping pattern
# caught: static
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    match {}:
        case {'a': _, **rest}:
            reward = reward * 1
    return reward
