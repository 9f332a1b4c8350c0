# task: lbf/8x8-2p-2f-coop  scope: own
import torch


def global_reward(state):
    """Both must stand at the same food: the food with the smallest summed way counts."""
    way = torch.cdist(state.agent_pos.float(), state.food_pos.float(), p=1.0)
    total = way.sum(dim=1)
    there = state.food_level > 0
    total = torch.where(there, total, torch.full_like(total, 1e3))
    best = total.amin(-1)
    none_left = ~there.any(dim=-1)
    return torch.where(none_left, torch.ones_like(best), -best / 28.0)