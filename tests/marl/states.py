"""States of random play for tests of signals, without the training that marlsmith samples its own with."""

from __future__ import annotations

from functools import lru_cache

import torch

from marlsmith.marl.checking import dynamic
from marlsmith.marl.checking.dynamic import ALTERATIONS, altered
from marlsmith.marl.checking.samples import SLOW_ROWS, Samples, played, sample, view_of
from marlsmith.marl.signals.program import Program
from marlsmith.marl.signals.static import checked_tree
from marlsmith.marl.signals.view import StateView
from marlsmith.marl.tasks import Task, TensorTask, make_task
from marlsmith.schemas import Scope, Signal, TaskCard


def random_play(task: Task, rows: int = SLOW_ROWS) -> StateView:
    """Transitions of a random policy as one batch, in the order of time."""
    view = view_of(played(task, None, rows, 0), task.card).rows(slice(0, rows))
    return StateView({**vars(view), "training_progress": torch.linspace(0, 1, rows)})


def sample_states(task: Task) -> dict[str, StateView]:
    """Random play as it is, and altered throughout in each of the ways that signals must bear."""
    view = random_play(task)
    rows = len(view.time)
    return {
        "random play": view,
        **{name: altered(view, torch.full((rows,), kind)) for kind, name in enumerate(ALTERATIONS)},
    }


@lru_cache
def samples_of(name: str) -> Samples:
    """What marlsmith tries signals on; a second's work, done once for all tests of a run."""
    return sample(make_task(name))


MADE: dict[tuple[type, TaskCard], Samples] = {}


def samples_for(task: Task) -> Samples:
    """The same of a task that has no name here. Of environments of others the card does not tell one from another."""
    if not isinstance(task, TensorTask):
        return sample(task)
    key = (type(task), task.card)
    if key not in MADE:
        MADE[key] = sample(task)
    return MADE[key]


def few_samples(task: Task) -> Samples:
    view = random_play(task)
    return Samples(view, torch.zeros(len(view.time), dtype=torch.int64))


def check_signal(signal: Signal, task: Task, scope: Scope) -> Program:
    """As an executor does: what the static check refuses needs no samples."""
    checked_tree(signal, task.card)
    return dynamic.check_signal(signal, task, scope, samples_for(task))


def check_program(program: Program, task: Task, scope: Scope, samples: Samples | None = None) -> None:
    dynamic.check_program(program, None, task.card.agents, scope, samples or samples_for(task))
