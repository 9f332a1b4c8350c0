"""The score, from two workers: one simulates and knows no candidate, the other is the policy and knows no seed."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from pydantic import BaseModel, ConfigDict

from marlsmith.marl.config import BranchRequest
from marlsmith.marl.external.launch import Report
from marlsmith.marl.recording import Recording
from marlsmith.marl.running import Order, Runner
from marlsmith.marl.tasks import Task
from marlsmith.marl.workers.contract import JobFailure, JobResult, Limits
from marlsmith.marl.workers.jobs import PEER_FD
from marlsmith.schemas import Signal, plain


class Score(BaseModel):
    """A simulator's findings: one number for each seed, by metric, and how the team behaved."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    metrics: dict[str, list[float]]
    behaviour: dict[str, float]


def score(
    runner: Runner, request: BranchRequest, signal: Signal, task: Task, policy: bytes, limits: Limits
) -> tuple[Score, Report]:
    """Play the episodes that decide with a trained policy. Raises JobFailure.

    The training worker's own numbers have no part in it, and the reward code is not loaded. The policy's
    process is jailed: it is sent observations and answers with actions, that is all.
    """
    result, report = _simulated("simulate", runner, request, signal, task, policy, limits, {})
    return Score.model_validate(result.value), report


def filmed(
    runner: Runner, request: BranchRequest, signal: Signal, task: Task, policy: bytes, limits: Limits, episode: int
) -> Recording:
    """One of the first member's episodes, played as those that decide are. Raises JobFailure."""
    result, _ = _simulated("film", runner, request, signal, task, policy, limits, {"episode": episode})
    return Recording.model_validate(result.value)


def _simulated(
    job: str,
    runner: Runner,
    request: BranchRequest,
    signal: Signal,
    task: Task,
    policy: bytes,
    limits: Limits,
    more: Mapping[str, object],
) -> tuple[JobResult, Report]:
    simulator: list[Future[tuple[JobResult, Report]]] = []

    def simulate(policy_end: socket.socket) -> tuple[JobResult, Report]:
        with policy_end:  # whatever happens, the policy sees the end of it
            order = Order(
                job,
                {"task": request.task, "seeds": list(request.seeds), "evaluation": plain(request.evaluation), **more},
                replace(limits, stall_seconds=limits.wall_seconds, accelerator=False),  # it waits for its policy
                connect=lambda: {PEER_FD: policy_end},
                companion=True,
            )
            return runner.run(task, order)

    with ThreadPoolExecutor(max_workers=2, thread_name_prefix="simulator") as threads:

        def connect() -> dict[int, socket.socket]:
            """Both are started together: only then has the policy its slot."""
            ours, theirs = socket.socketpair()
            simulator.append(threads.submit(simulate, ours))
            return {PEER_FD: theirs}

        order = Order(
            "play",
            {
                **told(request, signal.model_copy(update={"reward": None})),
                "episodes": request.evaluation.episodes,
            },
            limits,
            connect=connect,
            tensors=policy,
            environments=False,
        )
        failure = _failure_of(lambda: runner.run(task, order))
    return _outcome(simulator, failure)


def told(request: BranchRequest, signal: Signal) -> dict[str, object]:
    """What a worker that runs candidate code is told of a branch: nothing of the episodes that decide."""
    return {"request": request.model_dump(mode="json", exclude={"evaluation"}), "signal": plain(signal)}


def _failure_of(act: Callable[[], object]) -> JobFailure | None:
    try:
        act()
    except JobFailure as failure:
        return failure
    return None


def _outcome(
    simulator: list[Future[tuple[JobResult, Report]]], policy_failure: JobFailure | None
) -> tuple[JobResult, Report]:
    """The policy's failure says more than the simulator's, who only saw it go; unless the environments failed."""
    if not simulator:
        assert policy_failure is not None
        raise policy_failure
    try:
        result, report = simulator[-1].result()
    except JobFailure as failure:
        raise (policy_failure if policy_failure is not None and failure.stage != "environment" else failure) from None
    if policy_failure is not None:
        raise policy_failure
    return result, report
