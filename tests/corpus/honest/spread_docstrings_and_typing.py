# task: mpe/simple_spread  scope: own
"""Reward shaping for cooperative navigation.

Terms
-----
approach : minus the distance to the assigned landmark
collision : minus one for each touching partner
"""
from __future__ import annotations

from typing import Dict, Tuple

import torch
from torch import Tensor

ALPHA: float = 0.7
COLLISION_DISTANCE: float = 0.3


def pairwise(a: Tensor, b: Tensor) -> Tensor:
    """Distances between all rows of a and b.

    Args:
        a: [B, N, 2]
        b: [B, M, 2]

    Returns:
        [B, N, M]
    """
    return torch.linalg.norm(a.unsqueeze(2) - b.unsqueeze(1), dim=-1)


def collisions(positions: Tensor) -> Tensor:
    n: int = positions.shape[1]
    mask = ~torch.eye(n, dtype=torch.bool, device=positions.device)
    close = pairwise(positions, positions) < COLLISION_DISTANCE
    return (close & mask).sum(dim=-1).float()


def agent_reward(state) -> Dict[str, Tensor]:
    own: Tuple[Tensor, Tensor] = pairwise(state.agent_pos, state.landmark_pos).min(dim=-1)
    return {"approach": -own[0], "collision": -collisions(state.agent_pos)}


def global_reward(state) -> Dict[str, Tensor]:
    covered = pairwise(state.landmark_pos, state.agent_pos).amin(dim=-1) < 0.1
    return {"covered": covered.float().mean(dim=-1)}