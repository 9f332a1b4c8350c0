"""What of a run is taken home: which candidate, the networks that were trained under it, and how it stood."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from marlsmith.graph.adapting.main_run import Lap
from marlsmith.graph.naming import FINAL_BRANCH, confirm_branch, lap_branch
from marlsmith.graph.run_directory import CHECKPOINT
from marlsmith.graph.telling.trace import Event
from marlsmith.results.past import PastRun
from marlsmith.schemas import Candidate, Evaluation, Signal, UserError, printable


@dataclass(frozen=True)
class Choice:
    """A candidate with its signal as it was trained last."""

    candidate: Candidate
    trained: Signal
    """Under which its networks were: what they read is the same."""
    promoted: bool
    checkpoints: tuple[Path, ...]
    """Of its networks, the seeds one after another; none where the run kept none."""
    evaluation: Evaluation | None
    """Of these networks."""
    standing: Event | None
    """The run's comparison with the native task (`native`, `best`, `gain`), where it is of this candidate."""


def choose(past: PastRun, wanted: str | None) -> Choice:
    """What was promoted, else the best, else the one that is wanted. Raises UserError where there is none."""
    if wanted is not None:
        return _named(past, wanted)
    finished = past.require_finished()
    best = finished["best"]
    if best is None:
        reason = printable(finished["reason"], 300)
        known = f"; `--candidate ID` takes one all the same: {_some(list(past.candidates))}" if past.candidates else ""
        raise UserError(f"{past.path} has no signal to take home ({reason}){known}")
    return _named(past, best["candidate"])


def _named(past: PastRun, id: str) -> Choice:
    known = list(past.candidates)
    if not known:
        raise UserError(f"{past.path} has no candidate yet: go on with it by `marlsmith resume {past.path}`")
    if id not in known:
        near = difflib.get_close_matches(id, known, 1, 0.5)
        hint = f"did you mean {near[0]}?" if near else f"it has {_some(known)}"
        raise UserError(f"{past.path} has no candidate {printable(id, 60)!r}: {hint}")
    finished = past.finished
    best = None if finished is None else finished["best"]
    standing = finished if best is not None and best["candidate"] == id else None
    promoted = standing is not None and bool(standing["promoted"])
    if promoted and past.settings.method.adapts:
        return _main_run(past, id, standing)
    trained = [branch for branch in (confirm_branch(id), id) if (past.whole(branch)) is not None]
    evaluation = past.whole(trained[0]) if trained else None
    files = [past.path / "branches" / branch / CHECKPOINT for branch in trained[:1]]
    kept = tuple(file for file in files if file.is_file() and evaluation is not None and evaluation.error is None)
    candidate = past.candidates[id]
    return Choice(candidate, candidate.signal, promoted, kept, evaluation, standing)


def _some(ids: Sequence[str]) -> str:
    return ", ".join(ids[:12]) + (f" and {len(ids) - 12} more" if len(ids) > 12 else "")


def _main_run(past: PastRun, id: str, standing: Event | None) -> Choice:
    """The signal that an adapted main run carries at its end, with the features that its policy reads."""
    assert standing is not None, "a promoted candidate has been compared"
    lap = past.directory.lap(lap_branch(standing["main"]["laps"][-1]["stage"]), Lap)
    if lap is None:
        raise UserError(f"the last stage of {past.path} is missing in main/: restore it, or start a new run")
    candidate = past.candidates[id].model_copy(update={"signal": lap.signal})
    files = tuple(past.path / "main" / Path(name).name for name in lap.checkpoints)
    fits = lap.trained.observation == lap.signal.observation and all(file.is_file() for file in files)
    evaluation = past.whole(FINAL_BRANCH) or lap.evaluation
    return Choice(candidate, lap.trained, True, files if fits else (), evaluation, standing)
