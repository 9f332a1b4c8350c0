"""What agents do, as numbers that hold for any task with agents and targets: the critic's evidence."""

from __future__ import annotations

import torch
from torch import Tensor

from marlsmith.marl.tasks.base import Episodes
from marlsmith.schemas import TaskCard

IDLE_SPEED = 0.05
"""Length per second below which an agent counts as idle."""


def behaviour(episodes: Episodes, card: TaskCard) -> dict[str, float]:
    """Means over members, episodes, and where it fits agents and steps. Lengths in the task's unit."""
    agent, target = card.entity("agent"), card.entity(card.target)
    position, targets = episodes.state[agent.position][1:], episodes.state[target.position][1:]
    distance = (position.unsqueeze(-2) - targets.unsqueeze(-3)).norm(dim=-1)
    nearest = distance.argmin(-1)
    within = distance.amin(-2) < card.reach
    found = {
        "distance_nearest_end": distance[-1].amin(-1).mean(),
        "distance_target_end": distance[-1].amin(-2).mean(),
        "overlap": _same_target(nearest).float().mean(),
        "near_miss": ((distance.amin(0).amin(-2) >= card.reach) & (distance.amin(0).amin(-2) < 2 * card.reach))
        .float()
        .mean(),
        "left_after_reaching": (within.any(0) & ~within[-1]).float().mean(),
        "crowded": _crowded(position, card.collide).mean(),
    }
    if agent.velocity is not None:
        speed = episodes.state[agent.velocity][1:].norm(dim=-1)
        near = (distance.amin(-1) < 2 * card.reach).float()
        found["idle"] = (speed < IDLE_SPEED).float().mean()
        found["speed_near_target"] = (speed * near).sum() / near.sum().clamp(min=1)
    found["action_entropy"] = _entropy(episodes.action, len(card.actions))
    return {name: float(value) for name, value in found.items()}


def _same_target(nearest: Tensor) -> Tensor:
    """Whether two agents share their nearest target, [..., N] -> [...]."""
    n = nearest.shape[-1]
    same = nearest.unsqueeze(-1) == nearest.unsqueeze(-2)
    return (same & ~torch.eye(n, dtype=torch.bool)).flatten(-2).any(-1)


def _crowded(position: Tensor, collide: float) -> Tensor:
    """Share of agents that touch another one, [..., N, 2] -> [...]."""
    n = position.shape[-2]
    distance = (position.unsqueeze(-2) - position.unsqueeze(-3)).norm(dim=-1)
    return ((distance < collide) & ~torch.eye(n, dtype=torch.bool)).any(-1).float().mean(-1)


def _entropy(action: Tensor, actions: int) -> Tensor:
    """Entropy of the actions that were taken, as a share of the largest one, 0..1."""
    share = torch.bincount(action.flatten(), minlength=actions).float() / action.numel()
    return -(share * share.clamp(min=1e-12).log()).sum() / torch.log(torch.tensor(float(actions)))
