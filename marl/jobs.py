"""What worker processes do. The only place where candidate code is run on real data."""

from __future__ import annotations

import socket
import time
from typing import Any

import torch

from marlsmith.marl.behaviour import behaviour
from marlsmith.marl.checkpoint import pack
from marlsmith.marl.config import BranchRequest
from marlsmith.marl.devices import on_device
from marlsmith.marl.external.client import Channel
from marlsmith.marl.external.source import Found, Source
from marlsmith.marl.external.task import ExternalTask
from marlsmith.marl.external.wire import EnvironmentFault
from marlsmith.marl.signals.dynamic import check_signal
from marlsmith.marl.signals.program import Program, build_program
from marlsmith.marl.tasks import Task, make_task
from marlsmith.marl.trainer import Trainer
from marlsmith.marl.workers.failures import candidate_line, diagnose, said
from marlsmith.marl.workers.jobs import CHANNEL_FD, Report
from marlsmith.schemas import CurvePoint, Scope, Signal, SignalError, plain

CURVE_POINTS = 8
CURVE_EPISODES = 10
REPORT_SECONDS = 0.2


def check(arguments: dict[str, Any], report: Report) -> tuple[dict[str, Any], bytes | None]:
    """Build a signal and try its functions. Raises SignalError where it is refused."""
    task = _task(arguments["task"], arguments, report)
    signal = Signal.model_validate(arguments["signal"])
    try:
        program = check_signal(signal, task, arguments["scope"])
    except (SignalError, EnvironmentFault):
        raise
    except Exception as error:
        line = candidate_line(error)
        where = "" if line is None else f"line {line}: "
        stage, _ = diagnose(error)
        message = f"{where}{type(error).__name__}: {said(error)}"
        raise SignalError(message, "dynamic" if stage == "crash" else stage) from None
    return {"scope": program.scope, "observes": program.enhance is not None}, None


def train(arguments: dict[str, Any], report: Report) -> tuple[dict[str, Any], bytes | None]:
    """Train and evaluate one candidate, all its seeds batched.

    Returns per-seed metrics, behaviour, term statistics, the curve and the time, and the checkpoint's bytes.
    """
    request = BranchRequest.model_validate(arguments["request"])
    with on_device(request.train.device):
        return _trained(request, Signal.model_validate(arguments["signal"]), arguments, report)


def _trained(
    request: BranchRequest, signal: Signal, arguments: dict[str, Any], report: Report
) -> tuple[dict[str, Any], bytes | None]:
    task = _task(request.task, arguments, report)
    program = None if signal.is_native else build_program(signal, task.card)
    started = time.perf_counter()
    trainer = Trainer(task, program, request.train, request.seeds, request.reward_mode)
    curve = _train(trainer, request, task, report)
    trainer.require_health()
    episodes = trainer.evaluate(request.evaluation.episodes, request.evaluation.seed)
    metrics = {name: value.float().mean(-1).tolist() for name, value in task.metrics(episodes).items()}
    seconds = time.perf_counter() - started
    value = {
        "metrics": metrics,
        "behaviour": behaviour(episodes, task.card),
        "terms": {name: plain(term) for name, term in trainer.term_statistics().items()},
        "curve": [plain(point) for point in curve],
        "seconds": seconds,
        "steps": trainer.steps,
        "scope": _scope_used(program),
    }
    about = {
        "task": request.task,
        "candidate": request.candidate,
        "seeds": request.seeds,
        "train": plain(request.train),
    }
    return value, pack(trainer.tensors(), about)


def _task(reference: str, arguments: dict[str, Any], report: Report) -> Task:
    """The task. Environments of others run elsewhere: what they are was found out, and a channel leads to them."""
    if (external := arguments.get("external")) is None:
        return make_task(reference)
    channel = Channel(socket.socket(fileno=CHANNEL_FD), beat=lambda: report({}))
    return ExternalTask(Source.model_validate(external["source"]), Found.model_validate(external["found"]), channel)


def _train(trainer: Trainer, request: BranchRequest, task: Task, report: Report) -> list[CurvePoint]:
    """Train to the end, reporting a few times a second; the learning curve by greedy play on fixed episodes."""
    curve: list[CurvePoint] = []
    due = trainer.config.steps / CURVE_POINTS
    spoke = 0.0
    while not trainer.finished:
        trainer.advance()
        if trainer.steps >= due * (len(curve) + 1):
            curve.append(_curve_point(trainer, request, task))
        if time.perf_counter() - spoke >= REPORT_SECONDS:
            spoke = time.perf_counter()
            report(
                {
                    "steps": trainer.steps,
                    "total": trainer.config.steps,
                    "score": curve[-1].score if curve else None,
                }
            )
    return curve


def _curve_point(trainer: Trainer, request: BranchRequest, task: Task) -> CurvePoint:
    # Other episodes than the ones that decide: looking at the curve must not be a peek at the score.
    episodes = trainer.evaluate(CURVE_EPISODES, request.evaluation.seed + 1)
    return CurvePoint(
        steps=trainer.steps,
        score=float(task.metrics(episodes)[task.card.score].float().mean()),
        native_return=float(episodes.reward.sum(0).mean()),
        shaped_return=trainer.shaped_return,
    )


def _scope_used(program: Program | None) -> Scope:
    return "own" if program is None or program.enhance is None else program.scope


# Torch picks its kernels at first use; in the fork server that is once for all workers.
torch.set_num_threads(1)
