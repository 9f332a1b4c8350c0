"""A training that another cell has done is not done again: same seeds, same settings, same signal, same numbers."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

from marlsmith.graph.context import Outfitter, Parts
from marlsmith.graph.methods import RunSettings
from marlsmith.graph.run_directory import CHECKPOINT, RunDirectory
from marlsmith.marl.config import BranchRequest
from marlsmith.marl.executor import ROWS, Executor, Progress
from marlsmith.marl.recording import Recording
from marlsmith.results.past import PastRun
from marlsmith.schemas import NATIVE, Evaluation, Failure, JailReport, Scope, Signal, SignalValues, canonical


class Trainings:
    """By what determines them: where each was done. Safe from several threads."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Path, Evaluation]] = {}
        self._lock = threading.Lock()

    def learn(self, run: PastRun) -> None:
        """All that a run has trained from scratch. A failure is no result: it may have been the machine's."""
        if run.settings.method.adapts:
            return
        for branch, evaluation in run.evaluations.items():
            if evaluation.error is None:
                native = evaluation.candidate not in run.candidates
                signal = NATIVE if native else run.candidates[evaluation.candidate].signal
                self.add(_request(run.settings, evaluation), signal, run.path / "branches" / branch, evaluation)

    def add(self, request: BranchRequest, signal: Signal, directory: Path, evaluation: Evaluation) -> None:
        with self._lock:
            self._known[_key(request, signal)] = directory, evaluation

    def find(self, request: BranchRequest, signal: Signal) -> tuple[Path, Evaluation] | None:
        with self._lock:
            return self._known.get(_key(request, signal))


def _request(settings: RunSettings, evaluation: Evaluation) -> BranchRequest:
    """What the branch of a search from scratch was ordered as."""
    return BranchRequest(
        branch=evaluation.branch,
        candidate=evaluation.candidate,
        task=settings.task,
        seeds=evaluation.seeds,
        reward_mode=settings.method.reward_mode,
        train=settings.train,
        evaluation=settings.evaluation,
    )


def _key(request: BranchRequest, signal: Signal) -> str:
    told = request.model_dump_json(exclude={"branch", "candidate"})
    return hashlib.sha256(f"{told}\n{canonical(signal)}".encode()).hexdigest()


class SharingExecutor:
    """Looks a training up before it has it done."""

    def __init__(self, executor: Executor, trainings: Trainings) -> None:
        self._executor, self._trainings = executor, trainings
        self.workers = executor.workers

    def jail(self, device: str = "cpu") -> JailReport:
        return self._executor.jail(device)

    def check(self, signal: Signal, task: str, scope: Scope, rows: int = ROWS) -> list[Failure]:
        return self._executor.check(signal, task, scope, rows)

    def probe(self, signal: Signal, task: str, rows: int = ROWS) -> SignalValues | Failure:
        return self._executor.probe(signal, task, rows)

    def train(
        self,
        request: BranchRequest,
        signal: Signal,
        directory: Path,
        progress: Callable[[Progress], None] | None = None,
        checkpoint: Path | None = None,
    ) -> Evaluation:
        (directory / CHECKPOINT).unlink(missing_ok=True)  # it may be another cell's too: never written over
        found = self._trainings.find(request, signal) if checkpoint is None else None
        if found is not None:
            source, evaluation = found
            if (source / CHECKPOINT).is_file():
                _put(source / CHECKPOINT, directory / CHECKPOINT)
            return evaluation.model_copy(
                update={"branch": request.branch, "candidate": request.candidate, "checkpoint": None}
            )
        evaluation = self._executor.train(request, signal, directory, progress, checkpoint)
        if checkpoint is None and evaluation.error is None:
            self._trainings.add(request, signal, directory, evaluation)
        return evaluation

    def evaluate(self, request: BranchRequest, signal: Signal, checkpoint: Path) -> Evaluation:
        return self._executor.evaluate(request, signal, checkpoint)

    def film(self, request: BranchRequest, signal: Signal, checkpoint: Path, episode: int = 0) -> Recording | Failure:
        return self._executor.film(request, signal, checkpoint, episode)

    def close(self) -> None:
        self._executor.close()


class Sharing:
    """An outfitter whose executor shares."""

    def __init__(self, outfitter: Outfitter, trainings: Trainings) -> None:
        self._outfitter, self._trainings = outfitter, trainings

    def engage(self, settings: RunSettings) -> SharingExecutor:
        return SharingExecutor(self._outfitter.engage(settings), self._trainings)

    def equip(self, directory: RunDirectory, executor: Executor) -> Parts:
        return self._outfitter.equip(directory, executor)


def _put(source: Path, target: Path) -> None:
    """The same file where the disk knows such, else a copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
