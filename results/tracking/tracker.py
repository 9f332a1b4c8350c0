"""What a tracker is, and how one is named on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Protocol

from marlsmith.results.past import PastRun
from marlsmith.results.tracking.rows import Row
from marlsmith.schemas import UserError

TRACKERS = ("tensorboard", "wandb")
"""Each is the name of its extra and of its library."""


class Tracker(Protocol):
    """Keeps rows. It is told all of a run, from the first, and leaves out what it has kept already."""

    def keep(self, row: Row) -> None: ...

    def flush(self) -> None:
        """What it was told can be seen from here on."""

    def close(self) -> None: ...

    @property
    def where(self) -> str:
        """For people: how to look at it."""


def require_trackers(names: Sequence[str]) -> None:
    """Refuses, before anything is done, what could not keep anything."""
    for name in names:
        if name not in TRACKERS:
            raise UserError(f"there is no tracker {name!r}: use {' or '.join(TRACKERS)}")
        if find_spec(name) is None:
            raise UserError(f"{name} is not installed: `pip install 'marlsmith[{name}]'`, or leave it out")
        if name == "wandb":
            from marlsmith.results.tracking.wandb import require_account

            require_account()


def open_tracker(name: str, run: PastRun) -> Tracker:
    if name == "tensorboard":
        from marlsmith.results.tracking.tensorboard import TensorBoard

        return TensorBoard(run)
    from marlsmith.results.tracking.wandb import Wandb

    return Wandb(run)
