# task: mpe/simple_spread  scope: own
import torch
from torch import Tensor


def distance_matrix(a: Tensor, b: Tensor, *, squared: bool = False) -> Tensor:
    if a.dim() != 3 or b.dim() != 3:
        raise ValueError(f"expected [B, N, 2], got {tuple(a.shape)} and {tuple(b.shape)}")
    assert a.shape[-1] == b.shape[-1], "points of the same dimension"
    d2 = (a.unsqueeze(2) - b.unsqueeze(1)).square().sum(dim=-1)
    return d2 if squared else d2.clamp_min(1e-12).sqrt()


def agent_reward(state):
    return -distance_matrix(state.agent_pos, state.landmark_pos, squared=True).amin(dim=-1)