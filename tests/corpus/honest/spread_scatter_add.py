# task: mpe/simple_spread  scope: own
import torch

def global_reward(state):
    idx = torch.cdist(state.agent_pos, state.landmark_pos).argmin(-1)
    counts = torch.zeros(idx.shape[0], 3, dtype=torch.float32).scatter_add(1, idx, torch.ones_like(idx, dtype=torch.float32))
    return -(counts - 1.0).abs().sum(1)