# task: mpe/simple_spread  scope: own
import torch


def stateEnhance(obs):
    pos = obs[..., 2:4]
    radius = pos.norm(dim=-1, keepdim=True)
    angle = torch.atan2(pos[..., 1:2], pos[..., 0:1])
    return torch.cat([radius, torch.sin(angle), torch.cos(angle)], dim=-1)