# task: lbf/8x8-2p-2f-coop  scope: own
import torch

# Everybody sees the whole grid, so all can compute the same meeting point.


def enhance_observation(obs):
    foods = obs[..., :6].reshape(*obs.shape[:2], 2, 3)
    me, other = obs[..., 6:8], obs[..., 9:11]
    total = sum((foods[..., :2] - place[..., None, :]).abs().sum(-1) for place in (me, other))
    total = total + 100.0 * (foods[..., 2] <= 0).to(total.dtype)
    pick = total.argmin(-1)[..., None, None].expand(*obs.shape[:2], 1, 2)
    goal = torch.gather(foods[..., :2], 2, pick).squeeze(2)
    return (goal - me) / 8