# task: mpe/simple_spread  scope: own
#!/usr/bin/env python3
# -*- coding: utf-8 -*-
"""
Belohnung für simple_spread – Φ(s') − Φ(s), nächste Marke zuerst.
"""

# ============================== imports ==============================
import torch
import numpy as np
from typing import Any, Callable, Dict, Final, List, Mapping, Optional, Sequence, Tuple, Union
from collections.abc import Iterable

# ============================= constants =============================
REACH: Final[float] = 0.1
WEIGHTS: Dict[str, float] = dict(pull=1.0, reach=2.0, bump=0.5)
Terms = Dict[str, torch.Tensor]
Shape: Optional[Callable[[torch.Tensor], torch.Tensor]] = None


# ============================== helpers ==============================
def _weighted(terms: Mapping[str, torch.Tensor], weights: Optional[Mapping[str, float]] = None) -> Terms:
    """Multiply each term with its weight (default 1)."""
    weights = weights or {}
    return {key: value * weights.get(key, 1.0) for key, value in terms.items()}


def _pairs(n: int) -> List[Tuple[int, int]]:
    return [(i, j) for i in range(n) for j in range(n) if i < j]


# ============================= interface =============================
def agent_reward(state: Any) -> Terms:
    agents, landmarks = state.agent_pos, state.landmark_pos
    distance = (agents[:, :, None, :] - landmarks[:, None, :, :]).norm(p=2, dim=-1)
    nearest = distance.min(dim=-1).values
    bumps = torch.zeros_like(nearest)
    for i, j in _pairs(agents.shape[1]):
        touch = ((agents[:, i] - agents[:, j]).norm(dim=-1) < 0.3).to(nearest.dtype)
        bumps[:, i] += touch
        bumps[:, j] += touch
    return _weighted({"pull": -nearest, "reach": (nearest < REACH).float(), "bump": -bumps}, WEIGHTS)