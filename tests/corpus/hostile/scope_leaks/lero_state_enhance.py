# LERO's published form, with the team's mean in it
# caught: dynamic
import torch


def stateEnhance(obs):
    centre = obs[..., 2:4].mean(dim=1, keepdim=True)
    return torch.cat([obs[..., 2:4] - centre], dim=-1)
