"""Branches in worker processes of this machine."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from marlsmith.marl.algorithms import find_algorithm
from marlsmith.marl.checkpoint import pack, unpack
from marlsmith.marl.config import CURVE_EPISODES, BranchRequest
from marlsmith.marl.executor import MOST_ROWS, ROWS, Progress
from marlsmith.marl.external.launch import Report
from marlsmith.marl.jail.selftest import examine
from marlsmith.marl.recording import Recording
from marlsmith.marl.running import Order, Runner
from marlsmith.marl.scoring import Score, filmed, score, told
from marlsmith.marl.signals.forms import MOST_TERMS, TERM_NAME
from marlsmith.marl.signals.static import by_environment, checked_tree
from marlsmith.marl.statistics import bootstrap_interval, iqm
from marlsmith.marl.tasks import Task, make_task
from marlsmith.marl.workers.contract import JobFailure, Limits
from marlsmith.marl.workers.jobs import PROBE
from marlsmith.marl.workers.pool import Pool
from marlsmith.schemas import (
    REQUIRED_GROUPS,
    CurvePoint,
    Evaluation,
    Failure,
    JailReport,
    Scope,
    Signal,
    SignalError,
    SignalValues,
    TermStatistics,
    UserError,
    plain,
)

GIB = 2**30
# One that loops is ended by its processor time, whatever else the machine does (`jobs.CALL_SECONDS`); one that
# waits, as stalled.
CHECK_LIMITS = Limits(wall_seconds=30.0, stall_seconds=8.0, memory_bytes=2 * GIB, cpu_seconds=8.0)
SAMPLE_LIMITS = Limits(wall_seconds=120.0, stall_seconds=60.0, memory_bytes=4 * GIB, cpu_seconds=120.0)
SLOW_REWARD = "the reward is computed for one environment at a time, which is slow: write it over tensors"
LEAST_SCORING_SECONDS = 10.0
"""That are left for it where the training has used up the branch's time."""
PROBE_LIMITS = Limits(wall_seconds=20.0, stall_seconds=20.0, memory_bytes=GIB, cpu_seconds=20.0)
MALFORMED = (ValidationError, KeyError, ValueError, UserError)
"""What comes of a worker's answer that cannot be read."""
TermName = Annotated[str, Field(pattern=f"^(team_)*{TERM_NAME}$")]


class _TrainReply(BaseModel):
    """What a training worker may say: everything is checked, for candidate code ran in that process."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    terms: dict[TermName, TermStatistics] = Field(max_length=2 * MOST_TERMS)
    curve: list[CurvePoint] = Field(max_length=100)


class LocalExecutor:
    """Checks and trains in jailed worker processes, `workers` at a time."""

    def __init__(
        self,
        workers: int,
        branch_seconds: float = 600.0,
        stall_seconds: float = 30.0,
        *,
        unsafe_jail: bool = False,
    ) -> None:
        self.workers = workers
        self.pool = Pool(workers, jail="unsafe" if unsafe_jail else "required")
        self.runner = Runner(self.pool, hosts=max(1, len(os.sched_getaffinity(0)) // workers))
        self.train_limits = Limits(
            wall_seconds=branch_seconds,
            stall_seconds=stall_seconds,
            memory_bytes=4 * GIB,
            cpu_seconds=2 * branch_seconds,
        )
        self._unsafe = unsafe_jail
        self._examined: dict[bool, JailReport] = {}
        self._examining = threading.Lock()
        self._sampled: dict[tuple[str, int], bytes] = {}
        self._sampling = threading.Lock()

    def jail(self, device: str = "cpu") -> JailReport:
        """What the jail of workers for this device enforces, found by trying it once.

        Raises UserError where it does not hold.
        """
        accelerator = device != "cpu"
        limits = replace(PROBE_LIMITS, accelerator=accelerator)
        with self._examining:
            if accelerator not in self._examined:
                try:
                    self._examined[accelerator] = examine(
                        lambda arguments: self.pool.run(PROBE, arguments, limits).value,
                        self._unsafe,
                        self.pool.home,
                        "accelerator" if accelerator else "cpu",
                    )
                except JobFailure as failure:
                    raise UserError(f"the jail around candidate code could not be tried: {failure}") from None
            report = self._examined[accelerator]
        if not report.sound and not report.unsafe:
            acts = [probe.act for probe in report.open if probe.group in REQUIRED_GROUPS]
            more = f", and {len(acts) - 2} more" if len(acts) > 2 else ""
            raise UserError(
                "the jail around candidate code does not hold on this machine "
                f"({', '.join(acts[:2])}{more}): `marlsmith doctor` says what is missing, "
                "and --unsafe-jail runs all the same"
            )
        return report

    def check(self, signal: Signal, task: str, scope: Scope, rows: int = ROWS) -> list[Failure]:
        made = make_task(task)
        try:
            checked_tree(signal, made.card)
        except SignalError as error:
            return [Failure(stage=error.stage, message=problem) for problem in error.problems]
        self.jail()
        arguments = {"task": task, "scope": scope, "signal": plain(signal)}
        samples = self._samples(task, made, min(rows, MOST_ROWS))
        try:
            self.runner.run(made, Order("check", arguments, CHECK_LIMITS, tensors=samples, environments=False))
        except JobFailure as failure:
            return [_refused(failure)]
        return []

    def probe(self, signal: Signal, task: str, rows: int = ROWS) -> SignalValues | Failure:
        made = make_task(task)
        try:
            checked_tree(signal, made.card)
        except SignalError as error:
            return Failure(stage=error.stage, message=str(error))
        self.jail()
        arguments = {"task": task, "signal": plain(signal)}
        samples = self._samples(task, made, min(rows, MOST_ROWS))
        order = Order("values", arguments, CHECK_LIMITS, tensors=samples, environments=False)
        try:
            result, _ = self.runner.run(made, order)
            return SignalValues.model_validate(result.value)
        except JobFailure as failure:
            return _refused(failure)
        except ValidationError as error:
            return Failure(stage="crash", message=f"the worker's result is malformed: {error}")

    def _samples(self, task: str, made: Task, rows: int) -> bytes:
        """The states on which candidates are tried, made once. Raises UserError where the environment fails."""
        with self._sampling:
            if (task, rows) not in self._sampled:
                order = Order("sample", {"task": task, "rows": rows}, SAMPLE_LIMITS)
                try:
                    result, _ = self.runner.run(made, order)
                except JobFailure as failure:
                    whose = "The environment of" if failure.stage == "environment" else "Playing"
                    raise UserError(f"{whose} {task} failed: {failure}. Mend it and try again.") from None
                if result.tensors is None:
                    raise RuntimeError("the samples did not come")
                self._sampled[task, rows] = result.tensors
            return self._sampled[task, rows]

    def train(
        self,
        request: BranchRequest,
        signal: Signal,
        directory: Path,
        progress: Callable[[Progress], None] | None = None,
        checkpoint: Path | None = None,
    ) -> Evaluation:
        task = make_task(request.task)
        algorithm = find_algorithm(request.train.algorithm)
        self.jail(request.train.device)
        saved = None if request.start is None else _saved(checkpoint, request, request.start.signal)
        started = time.monotonic()
        try:
            limits = self._limits(request)
            order = Order(
                "train",
                told(request, signal),
                limits,
                _listener(request.branch, progress),
                tensors=saved,
                most_environments=len(request.seeds) * (request.train.environments + CURVE_EPISODES),
            )
            trained, training = self.runner.run(task, order)
            reply = _TrainReply.model_validate(trained.value)
            if trained.tensors is None:
                raise ValueError("no checkpoint came with it")
            policy = _policy(trained.tensors, request.about(signal), algorithm.policy)
            left = max(LEAST_SCORING_SECONDS, limits.wall_seconds - trained.seconds)
            found, playing = self._score(request, signal, task, policy, replace(limits, wall_seconds=left))
        except (JobFailure, *MALFORMED) as error:
            return _failed(request, request.steps, error)
        _write(directory / "checkpoint.safetensors", trained.tensors)
        return _evaluation(request, task, found).model_copy(
            update={
                "steps": request.steps,
                "terms": reply.terms,
                "curve": tuple(reply.curve),
                "warnings": (
                    *((SLOW_REWARD,) if by_environment(signal) else ()),
                    *_warnings(training),
                    *_warnings(playing),
                ),
                "seconds": time.monotonic() - started,
                "steps_per_second": request.steps * len(request.seeds) / trained.seconds,
                "checkpoint": "checkpoint.safetensors",
            }
        )

    def evaluate(self, request: BranchRequest, signal: Signal, checkpoint: Path) -> Evaluation:
        task = make_task(request.task)
        algorithm = find_algorithm(request.train.algorithm)
        self.jail(request.train.device)
        policy = _policy(_saved(checkpoint, request, signal), request.about(signal), algorithm.policy)
        started = time.monotonic()
        try:
            found, playing = self._score(request, signal, task, policy, self._limits(request))
        except (JobFailure, *MALFORMED) as error:
            return _failed(request, 0, error)
        told_of = {"warnings": _warnings(playing), "seconds": time.monotonic() - started}
        return _evaluation(request, task, found).model_copy(update=told_of)

    def film(self, request: BranchRequest, signal: Signal, checkpoint: Path, episode: int = 0) -> Recording | Failure:
        task = make_task(request.task)
        algorithm = find_algorithm(request.train.algorithm)
        self.jail(request.train.device)
        policy = _policy(_saved(checkpoint, request, signal), request.about(signal), algorithm.policy)
        try:
            return filmed(self.runner, request, signal, task, policy, self._limits(request), episode)
        except (JobFailure, *MALFORMED) as error:
            return _failure(error)

    def _limits(self, request: BranchRequest) -> Limits:
        return replace(self.train_limits, accelerator=request.train.device != "cpu")

    def _score(
        self, request: BranchRequest, signal: Signal, task: Task, policy: bytes, limits: Limits
    ) -> tuple[Score, Report]:
        found, playing = score(self.runner, request, signal, task, policy, limits)
        if set(found.metrics) != {metric.name for metric in task.card.metrics}:
            raise ValueError(f"metrics {sorted(found.metrics)} are not the task's")
        return found, playing

    def close(self) -> None:
        self.pool.close()


def _refused(failure: JobFailure) -> Failure:
    return Failure(stage=failure.stage, message=f"{failure}{_remedy(failure)}", line=failure.line)


def _remedy(failure: JobFailure) -> str:
    """What to write instead, where a check did not come to a verdict of its own."""
    if failure.stage == "timeout":
        return ": it may loop for ever, or ask for far too much; write it over tensors, without long loops"
    if "SIGSEGV" in failure.message:
        return ": recursion or iterators inside iterators may nest too deeply; write it with tensors"
    return ""


def _evaluation(request: BranchRequest, task: Task, found: Score) -> Evaluation:
    """Of a policy by itself: what the simulator says."""
    scores = found.metrics[task.card.score]
    return Evaluation(
        candidate=request.candidate,
        branch=request.branch,
        seeds=request.seeds,
        steps=0,
        score=iqm(scores),
        scores=tuple(scores),
        interval=bootstrap_interval(scores),
        metrics={name: iqm(values) for name, values in found.metrics.items()},
        behaviour=found.behaviour,
    )


def _failed(request: BranchRequest, steps: int, error: Exception) -> Evaluation:
    return Evaluation(
        candidate=request.candidate, branch=request.branch, seeds=request.seeds, steps=steps, error=_failure(error)
    )


def _failure(error: Exception) -> Failure:
    if isinstance(error, JobFailure):
        return Failure(stage=error.stage, message=str(error), line=error.line)
    return Failure(stage="crash", message=f"the worker's result is malformed: {error}")


def _policy(checkpoint: bytes, about: dict[str, object], prefix: str) -> bytes:
    """The networks that act, alone. Raises UserError or ValueError where this is no checkpoint of that training."""
    tensors, belongs = unpack(checkpoint)
    if belongs != about:
        raise ValueError("its checkpoint is of another training")
    return pack(((name, tensor) for name, tensor in tensors.items() if name.startswith(prefix)), belongs)


def _saved(checkpoint: Path | None, request: BranchRequest, signal: Signal) -> bytes:
    """The bytes of a checkpoint of this training under this signal. Raises UserError where they are none.

    It is looked at here, where no candidate code runs, so that no candidate can be blamed for it, or blame it.
    """
    if checkpoint is None:
        raise ValueError(f"the branch {request.branch} has a start and was given no checkpoint")
    try:
        data = checkpoint.read_bytes()
        _, belongs = unpack(data)
    except OSError as error:
        raise UserError(f"Cannot read {checkpoint}: {error.strerror}; restore it, or start a new run.") from None
    except UserError:
        raise UserError(
            f"{checkpoint} is damaged, or no checkpoint of marlsmith: restore it, or start a new run."
        ) from None
    if belongs != (wanted := request.about(signal)):
        other = ", ".join(sorted(name for name in wanted if belongs.get(name) != wanted[name]))
        raise UserError(f"{checkpoint} is of another training (other {other}): restore it, or start a new run.")
    return data


def _listener(branch: str, progress: Callable[[Progress], None] | None) -> Callable[[dict[str, Any]], None] | None:
    """Passes on what a worker says of its progress. One that garbles it is judged by its result."""
    if progress is None:
        return None

    def listen(said: dict[str, Any]) -> None:
        with contextlib.suppress(ValidationError, TypeError):
            progress(Progress(branch=branch, **said))

    return listen


def _warnings(report: Report) -> tuple[str, ...]:
    if not report.restarts:
        return ()
    times = "once" if report.restarts == 1 else f"{report.restarts} times"
    return (f"environments were started again {times}, and their episodes cut short: {report.reason}",)


def _write(path: Path, data: bytes) -> None:
    """All or nothing: a half-written checkpoint never stands under its name."""
    part = path.with_suffix(".part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise UserError(f"Cannot write {path}: {error.strerror}; make room or choose another place.") from None
