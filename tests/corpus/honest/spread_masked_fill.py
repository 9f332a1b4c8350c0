# task: mpe/simple_spread  scope: own
import torch


def agent_reward(state):
    B, N, _ = state.agent_pos.shape
    between = torch.cdist(state.agent_pos, state.agent_pos)
    between = between.masked_fill(torch.eye(N, dtype=torch.bool), float("inf"))
    nearest = between.min(dim=-1).values
    landmark = torch.cdist(state.agent_pos, state.landmark_pos).min(dim=-1).values
    return torch.tanh(nearest) - landmark