# task: mpe/simple_spread  scope: own
import torch


def agent_reward(state):
    guide = (1.0 - 2.0 * state.training_progress).clamp(min=0.0).unsqueeze(-1)
    near = torch.cdist(state.agent_pos, state.landmark_pos).amin(dim=-1)
    return guide * (-near) + (1.0 - guide) * state.reward