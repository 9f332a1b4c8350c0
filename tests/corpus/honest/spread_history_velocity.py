# task: mpe/simple_spread  scope: own
import torch


def enhance_observation(obs, history):
    steps = history[:, 1:, :, 2:4] - history[:, :-1, :, 2:4]
    return torch.cat([steps[:, -1], steps.mean(dim=1)], dim=-1)