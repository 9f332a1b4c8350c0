"""What the trainer needs of a task: a torch program over [P, E] (members x environments)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from marlsmith.schemas import TaskCard

State = dict[str, Tensor]
"""The simulator's whole state by field name, each [P, E, ...]; the card describes the fields."""


@dataclass(frozen=True)
class Episodes:
    """Whole episodes, one per member and environment, with the time axis first.

    `state` holds T + 1 states (the reset state first), [T + 1, P, E, ...]; `reward` and `action` are
    [T, P, E, N]; `alive` [T, P, E] says where an episode still ran before the step was taken.
    """

    state: State
    reward: Tensor
    action: Tensor
    alive: Tensor


class Task(Protocol):
    card: TaskCard

    def reset(self, generators: Sequence[torch.Generator], environments: int) -> State:
        """Fresh states: member p draws from generators[p] alone, so that a seed means the same anywhere."""
        ...

    def step(self, state: State, action: Tensor) -> tuple[State, Tensor, Tensor]:
        """One environment step for `action` int64 [P, E, N].

        Returns the next state, the native reward [P, E, N], and `terminated` bool [P, E]. The time limit
        is not the task's matter: the trainer truncates at `card.horizon`.
        """
        ...

    def observe(self, state: State) -> Tensor:
        """Observations [P, E, N, D]; also accepts further leading axes."""
        ...

    def metrics(self, episodes: Episodes) -> dict[str, Tensor]:
        """The card's metrics, each [P, E]."""
        ...
