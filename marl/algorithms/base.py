"""What the trainer needs of an algorithm."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class Spaces:
    """Sizes that an algorithm builds its networks from."""

    agents: int
    observation: int
    actions: int


@dataclass(frozen=True)
class Rollout:
    """T steps of P members in E environments, time first; D counts the appended features.

    `observation` [T, P, E, N, D] is what was acted on; `after` is what the same step led to before any
    reset. `reward` [T, P, E, N] is what is learned from. `terminated` and `done` are [T, P, E] bool.
    """

    observation: Tensor
    after: Tensor
    action: Tensor
    reward: Tensor
    terminated: Tensor
    done: Tensor


class Algorithm(Protocol):
    """P members side by side. Everything random comes from the members' own generators."""

    rollout_steps: int

    def act(self, observation: Tensor, noise: Tensor) -> Tensor:
        """Exploring actions int64 [P, E, N] for [P, E, N, D]; `noise` is uniform [P, E, N, A]."""
        ...

    def act_greedily(self, observation: Tensor) -> Tensor:
        """The best actions int64 [P, E, N] for [P, E, N, D]."""
        ...

    def update(self, rollout: Rollout, progress: float) -> None:
        """Learn from one rollout; `progress` is the share of the training done, 0..1."""
        ...

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Everything that must be saved to go on as if nothing had happened, by name."""
        ...


class AlgorithmFactory(Protocol):
    def __call__(self, spaces: Spaces, config: object, generators: Sequence[torch.Generator]) -> Algorithm: ...
