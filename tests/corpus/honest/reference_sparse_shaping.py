# task: mpe/simple_reference_sparse  scope: own
import torch


def agent_reward(state):
    b = torch.arange(state.goal.shape[0])[:, None]
    target = state.landmark_pos[b, state.goal]
    d = (state.agent_pos - target).norm(dim=-1)
    return 5.0 * state.reward - d + (d < 0.1).float()