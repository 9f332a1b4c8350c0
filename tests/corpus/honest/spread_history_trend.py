# task: mpe/simple_spread  scope: own
import torch


def enhance_observation(obs, history):
    d = history[..., 4:10].unflatten(-1, (3, 2)).norm(dim=-1)  # [B, H, N, 3]
    trend = d[:, -1] - d[:, 0]
    weights = torch.linspace(0.25, 1.0, d.shape[1], device=obs.device).view(1, -1, 1, 1)
    return torch.cat((trend, (d * weights).mean(1)), dim=-1).clamp(-5, 5)