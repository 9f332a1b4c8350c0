"""Branches in worker processes of this machine."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from marlsmith.marl.algorithms import find_algorithm
from marlsmith.marl.config import BranchRequest
from marlsmith.marl.executor import Progress
from marlsmith.marl.external.launch import EnvironmentServer, Report
from marlsmith.marl.external.task import ExternalTask
from marlsmith.marl.external.wire import EnvironmentFault
from marlsmith.marl.signals.program import MOST_TERMS, TERM_NAME, checked_tree
from marlsmith.marl.statistics import bootstrap_interval, iqm
from marlsmith.marl.tasks import Task, make_task
from marlsmith.marl.workers.pool import JobFailure, JobResult, Limits, Pool
from marlsmith.schemas import (
    CurvePoint,
    Evaluation,
    Failure,
    Scope,
    Signal,
    SignalError,
    TaskCard,
    TermStatistics,
    UserError,
    plain,
)

GIB = 2**30
TermName = Annotated[str, Field(pattern=f"^(team_)*{TERM_NAME}$")]


class _TrainReply(BaseModel):
    """What a training worker may say: everything is checked, for candidate code ran in that process."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    metrics: dict[str, list[float]]
    behaviour: dict[str, float]
    terms: dict[TermName, TermStatistics] = Field(max_length=2 * MOST_TERMS)
    curve: list[CurvePoint] = Field(max_length=100)
    seconds: float
    steps: int
    scope: Scope


class LocalExecutor:
    """Checks and trains in jailed worker processes, `workers` at a time."""

    def __init__(self, workers: int, branch_seconds: float = 600.0, stall_seconds: float = 30.0) -> None:
        self.workers = workers
        self.pool = Pool(workers)
        self.hosts = max(1, len(os.sched_getaffinity(0)) // workers)
        self.train_limits = Limits(
            wall_seconds=branch_seconds,
            stall_seconds=stall_seconds,
            memory_bytes=4 * GIB,
            cpu_seconds=2 * branch_seconds,
        )
        self.check_limits = Limits(wall_seconds=6.0, stall_seconds=6.0, memory_bytes=2 * GIB, cpu_seconds=6.0)
        # Environments of others may be slow; while they answer, the job is not stalled.
        self.external_check_limits = replace(self.check_limits, wall_seconds=60.0)

    def check(self, signal: Signal, task: str, scope: Scope) -> list[Failure]:
        arguments = {"task": task, "scope": scope, "signal": plain(signal)}
        made = make_task(task)
        try:
            checked_tree(signal, made.card)
        except SignalError as error:
            return [Failure(stage=error.stage, message=problem) for problem in error.problems]
        try:
            limits = self.external_check_limits if isinstance(made, ExternalTask) else self.check_limits
            self._run("check", arguments, limits, made)
        except JobFailure as failure:
            if failure.stage == "environment":  # not the candidate's fault: no repair of it would help
                raise UserError(f"The environment of {task} failed: {failure}. Mend it and try again.") from None
            looped = failure.stage == "timeout" and not isinstance(made, ExternalTask)
            remedy = ": it may loop for ever; vectorise it" if looped else ""
            return [Failure(stage=failure.stage, message=f"{failure}{remedy}")]
        return []

    def train(
        self,
        request: BranchRequest,
        signal: Signal,
        directory: Path,
        progress: Callable[[Progress], None] | None = None,
    ) -> Evaluation:
        task = make_task(request.task)
        find_algorithm(request.train.algorithm)

        def on_progress(said: dict[str, Any]) -> None:
            if progress is not None:
                try:
                    progress(Progress(branch=request.branch, **said))
                except (ValidationError, TypeError):
                    return  # a worker that garbles its progress is judged by its result

        failed = {
            "candidate": request.candidate,
            "branch": request.branch,
            "seeds": request.seeds,
            "steps": request.train.steps,
        }
        arguments = {"request": plain(request), "signal": plain(signal)}
        try:
            limits = replace(self.train_limits, accelerator=request.train.device != "cpu")
            result, report = self._run("train", arguments, limits, task, on_progress)
            reply = _TrainReply.model_validate(result.value)
            evaluation = _evaluation(request, reply, task.card, _warnings(report))
        except JobFailure as failure:
            return Evaluation(**failed, error=Failure(stage=failure.stage, message=str(failure)))
        except (ValidationError, KeyError, ValueError) as error:
            return Evaluation(
                **failed, error=Failure(stage="crash", message=f"the worker's result is malformed: {error}")
            )
        if result.tensors is None:
            return Evaluation(**failed, error=Failure(stage="crash", message="the worker sent no checkpoint"))
        _write(directory / "checkpoint.safetensors", result.tensors)
        return evaluation

    def _run(
        self,
        job: str,
        arguments: dict[str, Any],
        limits: Limits,
        task: Task,
        on_progress: Callable[[dict[str, Any]], None] | None = None,
    ) -> tuple[JobResult, Report]:
        """A job's result, with what the server of its environments reports of them. Raises JobFailure."""
        if not isinstance(task, ExternalTask):
            return self.pool.run(job, arguments, limits, on_progress), Report()
        external = {
            "source": task.source.model_dump(mode="json", by_alias=True),
            "found": plain(task.found),
        }
        servers: list[EnvironmentServer] = []
        result: JobResult | None = None
        failure: JobFailure | None = None

        def connect() -> socket.socket:
            servers.append(EnvironmentServer(task.source, task.found, self.hosts))
            return servers[-1].connection

        try:
            try:
                result = self.pool.run(job, {**arguments, "external": external}, limits, on_progress, connect)
            except JobFailure as error:
                failure = error
            report = servers[-1].report() if servers else Report()
        except EnvironmentFault as fault:
            raise JobFailure("environment", str(fault)) from None
        finally:
            for server in servers:
                server.stop()
        if result is not None:
            return result, report
        if report.fault is not None:
            raise JobFailure("environment", report.fault) from None
        assert failure is not None
        # That the environments are at fault is for their server to say: a candidate would gain by it.
        raise JobFailure("crash", failure.message) if failure.stage == "environment" else failure

    def close(self) -> None:
        self.pool.close()


def _warnings(report: Report) -> tuple[str, ...]:
    if not report.restarts:
        return ()
    times = "once" if report.restarts == 1 else f"{report.restarts} times"
    return (f"environments were started again {times}, and their episodes cut short: {report.reason}",)


def _evaluation(request: BranchRequest, reply: _TrainReply, card: TaskCard, warnings: tuple[str, ...]) -> Evaluation:
    if set(reply.metrics) != {metric.name for metric in card.metrics}:
        raise ValueError(f"metrics {sorted(reply.metrics)} are not the task's")
    if any(len(values) != len(request.seeds) for values in reply.metrics.values()):
        raise ValueError("not one number for each seed")
    scores = reply.metrics[card.score]
    return Evaluation(
        candidate=request.candidate,
        branch=request.branch,
        seeds=request.seeds,
        steps=reply.steps,
        score=iqm(scores),
        scores=tuple(scores),
        interval=bootstrap_interval(scores),
        metrics={name: iqm(values) for name, values in reply.metrics.items()},
        behaviour=reply.behaviour,
        terms=reply.terms,
        curve=tuple(reply.curve),
        warnings=warnings,
        seconds=reply.seconds,
        steps_per_second=reply.steps * len(request.seeds) / max(reply.seconds, 1e-9),
        checkpoint="checkpoint.safetensors",
    )


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
