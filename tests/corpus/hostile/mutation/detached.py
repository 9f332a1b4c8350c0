# assigns into a detached alias
# caught: dynamic
import torch


def agent_reward(state):
    """Come close to the nearest landmark."""
    reward = -torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)
    mine = state.reward.detach()
    mine[:] = 0.0
    return reward
