"""Tasks as the command line names them, and those of others compared with their cards."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from marlsmith.marl.external.read import absolute
from marlsmith.marl.external.wire import EnvironmentFault
from marlsmith.marl.tasks import Task, make_task
from marlsmith.marl.tasks.reference import TaskReference, is_external, with_options
from marlsmith.marl.tasks.verify import verify_steps
from marlsmith.schemas import UserError


def reference(task: str, options: Sequence[str]) -> str:
    """The task with its parameters, as it must be kept to be found again from another directory."""
    return absolute(with_options(task, list(options)))


def verify_external(task: str) -> None:
    """Refuses an environment of others that fails at once or contradicts its card, before anything is written.

    Tasks of this package are compared with their cards by its tests.
    """
    if is_external(TaskReference.parse(task).name):
        compare(task, verify_steps)


def compare(task: str, verify: Callable[[Task], None]) -> None:
    """Compares a task with its card; a fault of its environment is the user's to mend."""
    try:
        verify(make_task(task))
    except EnvironmentFault as fault:
        raise UserError(f"The environment of {task} failed: {fault}. Mend it and try again.") from None
