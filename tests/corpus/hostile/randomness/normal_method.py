# draws by a method
# caught: static
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward + reward.new_zeros(1).normal_()
    return reward
