"""States of random play for tests of signals, without the training that marlsmith samples its own with."""

from __future__ import annotations

from functools import lru_cache

import torch

from marlsmith.marl.signals.dynamic import ALTERATIONS, altered
from marlsmith.marl.signals.samples import Samples, random_play, sample
from marlsmith.marl.signals.view import StateView
from marlsmith.marl.tasks import Task, make_task


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


def few_samples(task: Task) -> Samples:
    view = random_play(task)
    return Samples(view, torch.zeros(len(view.time), dtype=torch.int64))
