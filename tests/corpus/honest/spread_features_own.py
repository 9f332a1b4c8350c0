# task: mpe/simple_spread  scope: own
import torch


def enhance_observation(obs):
    """Distances and directions to the landmarks, sorted by distance."""
    rel = obs[..., 4:10].reshape(*obs.shape[:-1], 3, 2)
    dist = rel.norm(dim=-1)
    order = dist.argsort(dim=-1)
    sorted_rel = torch.gather(rel, -2, order.unsqueeze(-1).expand(*order.shape, 2))
    return torch.cat([dist.gather(-1, order), sorted_rel.flatten(-2)], dim=-1)