# task: mpe/simple_spread  scope: team
import torch

SCOPE = "team"


def enhance_observation(obs):
    """What the others see, relative to what I see."""
    mean = obs.mean(dim=1, keepdim=True).expand_as(obs)
    return torch.cat([mean[..., :4], obs.roll(1, dims=1)[..., :4]], dim=-1)