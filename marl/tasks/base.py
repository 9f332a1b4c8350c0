"""What the trainer needs of a task, and the base of those that are torch programs over [P, E]."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from marlsmith.schemas import TaskCard

State = dict[str, Tensor]
"""The simulator's state by field name, each [P, E, ...]; the card describes the fields. Never changed in place."""


@dataclass(frozen=True)
class Episodes:
    """Whole episodes, one per member and environment, with the time axis first.

    `state` holds T + 1 states (the reset state first), [T + 1, P, E, ...]; `reward` is [T, P, E, N], zero after
    the end; `action` [T, P, E, N], with a last axis of components where actions are continuous; `alive`
    [T, P, E] says where an episode still ran before the step was taken: state t + 1 counts where alive[t].
    """

    state: State
    reward: Tensor
    action: Tensor
    alive: Tensor


class Outcome(NamedTuple):
    """What a step of all environments gave: reward [P, E, N] (native), terminated and truncated [P, E] bool.

    Terminated is an end for good, truncated a time limit: the first has no future reward, the second has.
    """

    reward: Tensor
    terminated: Tensor
    truncated: Tensor


class Environments(Protocol):
    """P x E environments of one task under way.

    After a step they show what it led to, also where an episode ended; `restart` then begins new ones there.
    """

    state: State
    observation: Tensor
    """[P, E, N, D]"""
    available: Tensor | None
    """Which actions may be chosen now, bool [P, E, N, A]; None: all."""
    active: Tensor | None
    """Which agents still take part, bool [P, E, N]; None: all, always."""
    clock: Tensor
    """Steps of the running episode, int64 [P, E]."""

    def step(self, action: Tensor) -> Outcome:
        """One step for `action` int64 [P, E, N], or float [P, E, N, A] in -1..1."""
        ...

    def restart(self, where: Tensor) -> None:
        """New episodes where bool [P, E] says so."""
        ...

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """What must be saved to go on; a simulator that cannot be saved starts new episodes on `load`."""
        ...

    def load(self, saved: Mapping[str, Tensor]) -> None: ...

    def close(self) -> None: ...


class Task(Protocol):
    card: TaskCard

    def open(self, generators: Sequence[torch.Generator], environments: int) -> Environments:
        """Fresh episodes: member p draws from generators[p] alone, so that a seed means the same anywhere."""
        ...

    def metrics(self, episodes: Episodes) -> dict[str, Tensor]:
        """The card's metrics, each [P, E]."""
        ...


class TensorTask(ABC):
    """A task whose simulator is a torch program, all environments at once."""

    card: TaskCard

    @abstractmethod
    def reset(self, generators: Sequence[torch.Generator], environments: int) -> State:
        """Fresh states: member p draws from generators[p] alone."""

    @abstractmethod
    def step(self, state: State, action: Tensor) -> tuple[State, Tensor, Tensor]:
        """One environment step for `action` int64 [P, E, N].

        Returns the next state, the native reward float32 [P, E, N], and `terminated` bool [P, E]. The time
        limit is not the task's matter: environments are truncated at `card.horizon`.
        """

    @abstractmethod
    def observe(self, state: State) -> Tensor:
        """Observations float32 [P, E, N, D]; also accepts further leading axes."""

    def available(self, state: State) -> Tensor | None:
        """Which actions may be chosen, bool [P, E, N, A]; None where all may, always."""
        return None

    @abstractmethod
    def metrics(self, episodes: Episodes) -> dict[str, Tensor]:
        """The card's metrics, each [P, E]."""

    def open(self, generators: Sequence[torch.Generator], environments: int) -> Environments:
        return TensorEnvironments(self, generators, environments)


class TensorEnvironments:
    """The environments of a torch program."""

    active: Tensor | None = None

    def __init__(self, task: TensorTask, generators: Sequence[torch.Generator], environments: int) -> None:
        self.task = task
        self.generators = generators
        self.environments = environments
        self.clock = torch.zeros(len(generators), environments, dtype=torch.int64)
        self._show(task.reset(generators, environments))

    def _show(self, state: State) -> None:
        self.state = state
        self.observation = self.task.observe(state)
        self.available = self.task.available(state)

    def step(self, action: Tensor) -> Outcome:
        state, reward, terminated = self.task.step(self.state, action)
        self.clock = self.clock + 1
        self._show(state)
        return Outcome(reward, terminated, (self.clock >= self.task.card.horizon) & ~terminated)

    def restart(self, where: Tensor) -> None:
        # Only members with an end draw: a member's numbers must not depend on the others' episodes.
        members = [member for member, ended in enumerate(where.any(1).tolist()) if ended]
        if not members:
            return
        fresh = self.task.reset([self.generators[member] for member in members], self.environments)
        if bool(where.all()):
            self.clock = torch.zeros_like(self.clock)
            self._show(fresh)
            return
        self.clock = torch.where(where, 0, self.clock)
        state = {name: value.clone() for name, value in self.state.items()}
        for name, value in state.items():
            value[members] = _where(where[members], fresh[name], value[members])
        self._show(state)

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        yield "clock", self.clock
        yield from ((f"state.{name}", value) for name, value in self.state.items())

    def load(self, saved: Mapping[str, Tensor]) -> None:
        self.clock = saved["clock"].clone()
        self._show({name: saved[f"state.{name}"].clone() for name in self.state})

    def close(self) -> None:
        """Nothing is held."""


def _where(where: Tensor, fresh: Tensor, old: Tensor) -> Tensor:
    return torch.where(where.view(*where.shape, *(1,) * (fresh.dim() - 2)), fresh, old)
