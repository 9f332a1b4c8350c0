"""What the graph needs of marl: check a signal, train a branch. Candidate code runs behind this door only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from marlsmith.marl.config import BranchRequest
from marlsmith.schemas import Evaluation, Failure, Record, Scope, Signal


class Progress(Record):
    """Where a branch is, a few times a second."""

    branch: str
    steps: int
    total: int
    score: float | None = None


class Executor(Protocol):
    """Runs branches somewhere. Blocking calls, safe from several threads at once."""

    workers: int

    def check(self, signal: Signal, task: str, scope: Scope) -> list[Failure]:
        """What speaks against training this signal; empty when it is sound."""
        ...

    def train(
        self,
        request: BranchRequest,
        signal: Signal,
        directory: Path,
        progress: Callable[[Progress], None] | None = None,
    ) -> Evaluation:
        """Train and evaluate; writes `checkpoint.safetensors` into `directory`, which exists.

        A fault of the candidate comes back as an Evaluation with an error.
        Raises UserError for a fault of the machine (no space, no permission), Cancelled after `close`.
        """
        ...

    def close(self) -> None:
        """End every worker; a branch under way raises Cancelled."""
        ...


class Cancelled(Exception):
    """The branch was ended from outside: it has no outcome and will be trained again."""
