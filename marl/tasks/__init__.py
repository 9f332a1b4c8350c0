"""The tasks by name."""

from __future__ import annotations

import difflib
from collections.abc import Callable

from pydantic import ValidationError

from marlsmith.marl.tasks.base import Episodes, State, Task
from marlsmith.marl.tasks.simple_spread import SimpleSpread
from marlsmith.schemas import UserError

TASKS: dict[str, Callable[[], Task]] = {
    "mpe/simple_spread": SimpleSpread,
}


def make_task(name: str) -> Task:
    if name not in TASKS:
        near = difflib.get_close_matches(name, TASKS, 1, 0.4)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(TASKS)}."
        raise UserError(f"There is no task {name!r}: {hint}")
    try:
        return TASKS[name]()
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"])) or "card"
        raise UserError(
            f"The card of {name} is not sound: {where}: {fault['msg'].removeprefix('Value error, ')}."
        ) from None


__all__ = ["TASKS", "Episodes", "State", "Task", "make_task"]
