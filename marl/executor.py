"""What the graph needs of marl: check a signal, train a branch. Candidate code runs behind this door only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from marlsmith.marl.config import BranchRequest
from marlsmith.marl.recording import Recording
from marlsmith.schemas import Evaluation, Failure, JailReport, Record, Scope, Signal, SignalValues

ROWS = 1600
"""Of a reward call in a training with the default settings: seeds x environments x steps of a rollout."""
MOST_ROWS = 4096
"""Of a reward call in a check, however many a training has."""


class Progress(Record):
    """Where a branch is, a few times a second: steps count from where it began."""

    branch: str
    steps: int
    total: int
    score: float | None = None


class Executor(Protocol):
    """Runs branches somewhere. Blocking calls, safe from several threads at once."""

    workers: int

    def jail(self, device: str = "cpu") -> JailReport:
        """What the jail around candidate code that computes on this device enforces, found by trying it once.

        Raises UserError where a required group is open and the user did not insist (`--unsafe-jail`).
        """
        ...

    def check(self, signal: Signal, task: str, scope: Scope, rows: int = ROWS) -> list[Failure]:
        """What speaks against training this signal; empty when it is sound. `rows` is the batch of a reward call."""
        ...

    def probe(self, signal: Signal, task: str, rows: int = ROWS) -> SignalValues | Failure:
        """What a signal that `check` let pass comes to on stored states, or why that cannot be said."""
        ...

    def train(
        self,
        request: BranchRequest,
        signal: Signal,
        directory: Path,
        progress: Callable[[Progress], None] | None = None,
        checkpoint: Path | None = None,
    ) -> Evaluation:
        """Train and evaluate; writes `checkpoint.safetensors` into `directory`, which exists.

        `checkpoint` is the file that `request.start` speaks of. The Evaluation counts the steps of this branch; its
        curve is on the main run's clock. A fault of the candidate comes back as an Evaluation with an error.
        Raises UserError for a fault of the machine (no space, no permission, a checkpoint that is damaged or of
        another training), Cancelled after `close`.
        """
        ...

    def evaluate(self, request: BranchRequest, signal: Signal, checkpoint: Path) -> Evaluation:
        """Play the request's evaluation episodes with the policy of a checkpoint that was trained under `signal`.

        Nothing is trained: no steps, no curve, no terms. Faults are as in `train`.
        """
        ...

    def film(self, request: BranchRequest, signal: Signal, checkpoint: Path, episode: int = 0) -> Recording | Failure:
        """Play as `evaluate` does, and record one of the first member's episodes.

        Under the same evaluation and the same first seed it begins in the same state, whatever policy plays. One that
        misbehaves is a Failure. Raises UserError as `train` does.
        """
        ...

    def close(self) -> None:
        """End every worker; a branch under way raises Cancelled."""
        ...


class Cancelled(Exception):
    """The branch was ended from outside: it has no outcome and will be trained again."""
