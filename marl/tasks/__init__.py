"""The tasks by name. A reference is a name, or a name with parameters: `mpe/simple_spread?agents=5`."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from functools import partial

from pydantic import ValidationError

from marlsmith.marl.tasks.base import Environments, Episodes, Outcome, State, Task, TensorTask
from marlsmith.marl.tasks.lbf import SETTINGS, LevelBasedForaging
from marlsmith.marl.tasks.reference import EXTERNAL, TaskReference, is_external
from marlsmith.marl.tasks.simple_reference import SimpleReference
from marlsmith.marl.tasks.simple_speaker_listener import SimpleSpeakerListener
from marlsmith.marl.tasks.simple_spread import SimpleSpread
from marlsmith.marl.tasks.sparse import simple_reference_sparse, simple_speaker_listener_sparse, simple_spread_sparse
from marlsmith.schemas import UserError

TASKS: dict[str, Callable[..., Task]] = {
    "mpe/simple_spread": SimpleSpread,
    "mpe/simple_reference": SimpleReference,
    "mpe/simple_speaker_listener": SimpleSpeakerListener,
    "mpe/simple_spread_sparse": simple_spread_sparse,
    "mpe/simple_reference_sparse": simple_reference_sparse,
    "mpe/simple_speaker_listener_sparse": simple_speaker_listener_sparse,
    **{f"lbf/{name}": partial(LevelBasedForaging, name) for name in SETTINGS},
}


def make_task(reference: str) -> Task:
    """The task that a reference names. Raises UserError where there is none, or its parameters do not fit.

    Environments of others (`pettingzoo:`, `gymnasium:`, a TOML card) are looked at in a process of their own.
    """
    parsed = TaskReference.parse(reference)
    if is_external(parsed.name):
        from marlsmith.marl.external.task import ExternalTask  # it needs the contract of this package

        return ExternalTask.named(reference)
    if parsed.name not in TASKS:
        near = difflib.get_close_matches(parsed.name, TASKS, 1, 0.4)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(TASKS)}, {', '.join(EXTERNAL)}."
        raise UserError(f"There is no task {parsed.name!r}: {hint}")
    factory = TASKS[parsed.name]
    try:
        return factory(**parsed.checked_options(factory))
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"])) or "card"
        raise UserError(
            f"The card of {reference} is not sound: {where}: {fault['msg'].removeprefix('Value error, ')}."
        ) from None


__all__ = ["TASKS", "Environments", "Episodes", "Outcome", "State", "Task", "TensorTask", "make_task"]
