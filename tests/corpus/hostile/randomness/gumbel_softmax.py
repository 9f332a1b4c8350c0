# draws by a Gumbel softmax
# caught: static
import torch
import torch.nn.functional as F


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    reward = reward + F.gumbel_softmax(reward)
    return reward
