"""What the trainer needs of an algorithm."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from marlsmith.marl.config import TrainConfig
from marlsmith.schemas import TaskCard


@dataclass(frozen=True)
class Spaces:
    """Sizes that an algorithm builds its networks from. D counts the appended features."""

    agents: int
    observation: int
    actions: int
    """A: choices, or components of a continuous action in -1..1."""
    continuous: bool = False

    @classmethod
    def of(cls, card: TaskCard, observation: int) -> Spaces:
        """Of a task whose agents see `observation` columns, appended features included."""
        return cls(card.agents, observation, card.actions.size, card.actions.kind == "continuous")


@dataclass(frozen=True)
class Rollout:
    """T steps of P members in E environments, time first.

    `observation` [T, P, E, N, D] is what was acted on; `after` is what the same step led to before any
    restart. `action` is int64 [T, P, E, N] or float [T, P, E, N, A]; `reward` [T, P, E, N] is what is learned
    from. `terminated` (an end for good) and `done` (an end of whatever kind) are [T, P, E] bool.
    """

    observation: Tensor
    after: Tensor
    action: Tensor
    reward: Tensor
    terminated: Tensor
    done: Tensor
    available: Tensor | None = None
    """Actions that could be chosen, bool [T, P, E, N, A]; None: all."""
    available_after: Tensor | None = None
    active: Tensor | None = None
    """Agents that took part in the step, bool [T, P, E, N]; None: all. Others must not be learned from."""
    active_after: Tensor | None = None
    """Agents that can take part in the next step of this episode, bool [T, P, E, N]; None: all."""
    memory: Tensor | None = None
    """Of the recurrent networks that act, before the first step, [P, E, N, H]; None where there are none."""
    origin: dict[str, Tensor] = field(default_factory=dict)
    """What observations and rewards can be computed anew from, by name, each [T, P, E, ...]. Opaque here."""


Relabel = Callable[[Rollout], Rollout]
"""The same steps under another signal: other observations and rewards, all else as it was."""


class Algorithm(Protocol):
    """P members side by side. Everything random comes from the members' own generators, or is handed in."""

    spaces: Spaces
    rollout_steps: int
    """Steps of every environment between two updates."""
    noise: int
    """Uniform random numbers that `act` needs for each agent."""

    def fresh_memory(self, environments: int) -> Tensor | None:
        """What recurrent networks remember at the start of an episode, zeros [P, E, N, H]; None without such."""
        ...

    def act(
        self, observation: Tensor, available: Tensor | None, memory: Tensor | None, noise: Tensor, progress: float
    ) -> tuple[Tensor, Tensor | None]:
        """Exploring actions for [P, E, N, D], and the memory after them; `noise` is uniform [P, E, N, noise]."""
        ...

    def act_greedily(
        self, observation: Tensor, available: Tensor | None, memory: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """The best actions for [P, E, N, D], and the memory after them."""
        ...

    def update(self, rollout: Rollout, progress: float) -> None:
        """Learn from one rollout; `progress` is the share of the training done, 0..1."""
        ...

    def relabel(self, relabel: Relabel) -> None:
        """Put what is remembered of earlier rollouts under another signal. On-policy algorithms keep nothing."""
        ...

    def resized(self, observation: int, kept: int) -> Algorithm:
        """The same algorithm for another observation size: columns behind the first `kept` start with no weight."""
        ...

    def forget_values(self, rollouts: int) -> None:
        """The rewards mean something else now: estimate their scale anew, warm the values up for some rollouts."""
        ...

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Everything that must be saved to go on as if nothing had happened, by name."""
        ...

    def make_room(self, saved: Mapping[str, Tensor]) -> None:
        """Have tensors for all that `saved` (named as by `tensors`) remembers, before it is copied into them."""
        ...


class AlgorithmFactory(Protocol):
    policy: str
    """How the names of the tensors begin that `act_greedily` reads."""

    @staticmethod
    def require_sense(spaces: Spaces, config: TrainConfig) -> None:
        """Raises UserError where these settings cannot work for such a task."""
        ...

    def __call__(self, spaces: Spaces, config: TrainConfig, generators: Sequence[torch.Generator]) -> Algorithm: ...
