"""Physics of the multi-agent particle environments, equal to mpe2's step by step (order included).

Constants and order: mpe2 1.1, `_mpe_utils/core.py` and `simple_env.py`. Lengths are in world units (the
arena spans -1..1), times in seconds, masses are 1.
"""

from __future__ import annotations

import torch
from torch import Tensor

TIME_STEP = 0.1
DAMPING = 0.25
CONTACT_FORCE = 100.0
CONTACT_MARGIN = 1e-3
SENSITIVITY = 5.0

MOVES = ((0.0, 0.0), (-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0))
MOVE_MEANINGS = ("stay", "push left (-x)", "push right (+x)", "push down (-y)", "push up (+y)")


def move_forces(dtype: torch.dtype) -> Tensor:
    """Force of each discrete move, [5, 2]."""
    return torch.tensor(MOVES, dtype=dtype) * SENSITIVITY


def contact_forces(position: Tensor, diameter: float) -> Tensor:
    """Soft repulsion between equal discs: [..., N, 2] for positions [..., N, 2].

    f = 100 * delta / d * k * log(1 + exp(-(d - diameter) / k)), k = 1e-3 (mpe2 `get_collision_force`).
    """
    delta = position.unsqueeze(-2) - position.unsqueeze(-3)
    distance = delta.square().sum(-1).sqrt()
    excess = (diameter - distance) / CONTACT_MARGIN
    penetration = torch.logaddexp(torch.zeros((), dtype=position.dtype), excess) * CONTACT_MARGIN
    # The diagonal divides by zero where delta is zero as well: add one there, the product stays zero.
    distance = distance + torch.eye(position.shape[-2], dtype=position.dtype)
    return (delta * (CONTACT_FORCE * penetration / distance).unsqueeze(-1)).sum(-2)


def integrate(position: Tensor, velocity: Tensor, force: Tensor) -> tuple[Tensor, Tensor]:
    """Position first, by the velocity before this step; then damping; then the force."""
    return position + velocity * TIME_STEP, velocity * (1 - DAMPING) + force * TIME_STEP


def distances(a: Tensor, b: Tensor) -> Tensor:
    """Euclidean distances [..., N, M] between points [..., N, 2] and [..., M, 2]."""
    return (a.unsqueeze(-2) - b.unsqueeze(-3)).square().sum(-1).sqrt()


def relative_to_others(position: Tensor) -> Tensor:
    """Positions of the other agents seen from each, in index order: [..., N, (N - 1) * 2]."""
    n = position.shape[-2]
    others = torch.tensor([[j for j in range(n) if j != i] for i in range(n)])
    return (position[..., others, :] - position.unsqueeze(-2)).flatten(-2)
