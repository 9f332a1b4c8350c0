"""What worker processes do. The only place where candidate code is run on real data."""

from __future__ import annotations

import resource
import socket
import time
from collections.abc import Callable
from typing import Any, TypeVar

import torch

from marlsmith.marl.algorithms import Algorithm, Spaces, find_algorithm
from marlsmith.marl.behaviour import behaviour
from marlsmith.marl.checking import samples
from marlsmith.marl.checking.dynamic import check_signal
from marlsmith.marl.checking.values import signal_values
from marlsmith.marl.checkpoint import pack, unpack
from marlsmith.marl.config import CURVE_EPISODES, BranchRequest, EvaluationConfig
from marlsmith.marl.devices import on_device
from marlsmith.marl.evaluation import play as play_episodes
from marlsmith.marl.external.client import Channel
from marlsmith.marl.external.source import Found, Source
from marlsmith.marl.external.task import ExternalTask, drawn_seeds
from marlsmith.marl.observing import Observer
from marlsmith.marl.policy_link import PolicyFault, RemotePolicy, Shapes, answer, observations
from marlsmith.marl.recording import MOST_NUMBERS, Recording, Replay, Series
from marlsmith.marl.seeding import generator
from marlsmith.marl.signals.program import Program, build_program
from marlsmith.marl.tasks import Episodes, Task, make_task
from marlsmith.marl.trainer import Trainer
from marlsmith.marl.workers.failures import diagnose
from marlsmith.marl.workers.jobs import ENVIRONMENTS_FD, PEER_FD, Report
from marlsmith.schemas import CurvePoint, Signal, SignalError, TaskCard, plain

Result = TypeVar("Result")
CURVE_POINTS = 8
CALL_SECONDS = 2
CURVE_SEED = 1
"""Of other episodes than those that decide. Those are not known here: candidate code runs in this process."""
REPORT_SECONDS = 0.2


def sample(arguments: dict[str, Any], report: Report) -> tuple[dict[str, Any], bytes | None]:
    """The states on which candidates for a task will be tried. No candidate code is in this process."""
    task = _task(arguments["task"], arguments, report)
    return {}, samples.pack(samples.sample(task, arguments["rows"]))


def check(arguments: dict[str, Any], report: Report) -> tuple[dict[str, Any], bytes | None]:
    """Build a signal and try its functions on sampled states. Raises SignalError where it is refused."""

    def run(signal: Signal, task: Task, tried: samples.Samples, beat: Callable[[], None]) -> None:
        check_signal(signal, task, arguments["scope"], tried, beat)

    _tried(arguments, report, run)
    return {}, None


def values(arguments: dict[str, Any], report: Report) -> tuple[dict[str, Any], bytes | None]:
    """What a signal's functions come to on sampled states. Raises SignalError where they fail."""
    return plain(_tried(arguments, report, signal_values)), None


def _tried(
    arguments: dict[str, Any],
    report: Report,
    run: Callable[[Signal, Task, samples.Samples, Callable[[], None]], Result],
) -> Result:
    """What `run` makes of a signal on sampled states; whatever candidate code raises becomes a SignalError."""
    task = _task(arguments["task"], arguments, report, playable=False)
    signal = Signal.model_validate(arguments["signal"])
    tried = samples.unpack(arguments["tensors"])

    def beat() -> None:
        _allow_a_call()
        report({})

    beat()
    try:
        return run(signal, task, tried, beat)
    except SignalError:
        raise
    except Exception as error:
        stage, message = diagnose(error)
        raise SignalError(message, "dynamic" if stage == "crash" else stage) from None


def _allow_a_call() -> None:
    """The next call of candidate code may take one to two seconds of processor time: four times what is allowed it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (min(hard, int(used.ru_utime + used.ru_stime) + CALL_SECONDS), hard))


def train(arguments: dict[str, Any], report: Report) -> tuple[dict[str, Any], bytes | None]:
    """Train one candidate, all its seeds batched.

    Returns term statistics and the learning curve, by this process's own word, and the checkpoint.
    """
    request = BranchRequest.model_validate(arguments["request"])
    with on_device(request.train.device):
        task = _task(request.task, arguments, report)
        signal = Signal.model_validate(arguments["signal"])
        trainer = _begun(request, signal, task, arguments.get("tensors"))
        curve = _train(trainer, task, report)
        trainer.require_health()
        value = {
            "terms": {name: plain(term) for name, term in trainer.term_statistics().items()},
            "curve": [plain(point) for point in curve],
        }
        return value, pack(trainer.tensors(), request.about(signal))


def _begun(request: BranchRequest, signal: Signal, task: Task, checkpoint: bytes | None) -> Trainer:
    """A training from scratch; or the one that was saved, taken up where it stood and under the branch's signal.

    Where the signal is the one that it was saved under, nothing is changed: the branch is the same training, bit
    for bit. Environments of others cannot be saved and begin new episodes: there, branches one after another are
    repeatable, yet not to the bit what one training would be.
    """
    start = request.start
    first = signal if start is None else start.signal
    trainer = Trainer(task, _program(first, task.card), request.train, request.seeds, request.reward_mode)
    if start is None:
        trainer.begin_branch(request.begins, request.ends)
        return trainer
    assert checkpoint is not None, "it is sent along with a start"
    trainer.load(unpack(checkpoint)[0])
    trainer.begin_branch(request.begins, request.ends)
    if start.fork is not None:
        trainer.fork(start.fork)
    if signal != start.signal:
        columns = trainer.observation.shape[-1]
        trainer.switch(_program(signal, task.card), None, start.value_warm_up, kept=columns)
    return trainer


def _program(signal: Signal, card: TaskCard) -> Program | None:
    return None if signal.is_native else build_program(signal, card)


def simulate(arguments: dict[str, Any], report: Report) -> tuple[dict[str, Any], bytes | None]:
    """Play the episodes that decide with the policy at PEER_FD: per-seed metrics, and behaviour.

    No candidate code is ever in this process: what it says is the score. The policy sees observations only.
    """
    task, episodes = _played(arguments, report)
    metrics = {name: value.float().mean(-1).tolist() for name, value in task.metrics(episodes).items()}
    return {"metrics": metrics, "behaviour": behaviour(episodes, task.card)}, None


def film(arguments: dict[str, Any], report: Report) -> tuple[dict[str, Any], bytes | None]:
    """Play as `simulate` does, and return what there was to be seen in one of the first member's episodes."""
    task, episodes = _played(arguments, report)
    which: int = arguments["episode"]
    steps = int(episodes.alive[:, 0, which].sum())
    found = task.metrics(episodes)
    recording = Recording(
        task=arguments["task"],
        steps=steps,
        fields={
            name: _series(value[: steps + 1, 0, which])
            for name, value in episodes.state.items()
            if value[: steps + 1, 0, which].numel() <= MOST_NUMBERS
        },
        metrics={name: float(value[0, which]) for name, value in found.items()},
        scores=tuple(found[task.card.score][0].tolist()),
        replay=_replay(arguments, episodes, which, steps) if isinstance(task, ExternalTask) else None,
    )
    return plain(recording), None


def _replay(arguments: dict[str, Any], episodes: Episodes, which: int, steps: int) -> Replay:
    """With what an environment of others was reset, as `play` draws it, and what was done in it."""
    evaluation = EvaluationConfig.model_validate(arguments["evaluation"])
    draws = generator(evaluation.seed, f"evaluation of {arguments['seeds'][0]}")
    return Replay(
        seed=int(drawn_seeds(draws, evaluation.episodes)[which]),
        actions=_series(episodes.action[:steps, 0, which]),
        rewards=_series(episodes.reward[:steps, 0, which]),
    )


def _series(value: torch.Tensor) -> Series:
    return Series(shape=tuple(value.shape[1:]), values=tuple(value.double().flatten().tolist()))


def _played(arguments: dict[str, Any], report: Report) -> tuple[Task, Episodes]:
    """Episodes with the policy at PEER_FD. Raises SignalError where it misbehaves."""
    evaluation = EvaluationConfig.model_validate(arguments["evaluation"])
    seeds: list[int] = arguments["seeds"]
    task = _task(arguments["task"], arguments, report)
    shapes = Shapes.of(task.card, len(seeds), evaluation.episodes)
    policy = RemotePolicy(socket.socket(fileno=PEER_FD), shapes)
    draws = [generator(evaluation.seed, f"evaluation of {seed}") for seed in seeds]
    try:
        return task, play_episodes(task, policy, Observer(None), draws, evaluation.episodes)
    except PolicyFault as fault:
        raise SignalError(str(fault), "crash") from None


def play(arguments: dict[str, Any], report: Report) -> tuple[dict[str, Any], bytes | None]:
    """Be the policy that a simulator at PEER_FD plays with: trained networks, and the signal's features.

    Raises SignalError where the networks are no such policy's, or the features fail.
    """
    request = BranchRequest.model_validate(arguments["request"])
    signal = Signal.model_validate(arguments["signal"])
    card = _task(request.task, arguments, report, playable=False).card
    connection = socket.socket(fileno=PEER_FD)
    shapes = Shapes.of(card, len(request.seeds), arguments["episodes"])
    observer = Observer(None if signal.observation is None else build_program(signal, card))
    saved, _ = unpack(arguments["tensors"])
    policy: Algorithm | None = None
    memory: torch.Tensor | None = None
    spoke = 0.0
    with on_device(request.train.device), torch.no_grad():
        for begins, raw, available in observations(connection, shapes, beat=lambda: report({})):
            seen = observer.restart(raw) if begins else observer.observe(raw)
            if policy is None:
                policy = _policy(request, card, seen.shape[-1], saved)
            if begins:
                memory = policy.fresh_memory(shapes.environments)
            action, memory = policy.act_greedily(seen, available, memory)
            answer(connection, action, shapes)
            if time.monotonic() - spoke >= REPORT_SECONDS:
                spoke = time.monotonic()
                report({})
    observer.require_sound()
    return {}, None


def _policy(request: BranchRequest, card: TaskCard, width: int, saved: dict[str, torch.Tensor]) -> Algorithm:
    """The algorithm with the saved networks in it. They come from a process that has run candidate code."""
    factory, spaces = find_algorithm(request.train.algorithm), Spaces.of(card, width)
    made = factory(spaces, request.train, [generator(seed, "policy") for seed in request.seeds])
    for name, tensor in made.tensors():
        if name.startswith(factory.policy):
            if name not in saved or saved[name].shape != tensor.shape or saved[name].dtype != tensor.dtype:
                raise SignalError(f"the trained networks do not fit: {name} is missing or of another shape", "crash")
            if not bool(torch.isfinite(saved[name]).all()):
                raise SignalError("the networks became NaN or infinite: scale the signal down", "dynamic")
            tensor.copy_(saved[name])
    return made


def _task(reference: str, arguments: dict[str, Any], report: Report, *, playable: bool = True) -> Task:
    """The task. Environments of others run elsewhere: what they are was found out, and a channel leads to them."""
    if (external := arguments.get("external")) is None:
        return make_task(reference)
    channel = None
    if playable:
        channel = Channel(socket.socket(fileno=ENVIRONMENTS_FD), beat=lambda: report({}))
    return ExternalTask(Source.model_validate(external["source"]), Found.model_validate(external["found"]), channel)


def _train(trainer: Trainer, task: Task, report: Report) -> list[CurvePoint]:
    """Train to the end, reporting a few times a second; the learning curve by greedy play on fixed episodes."""
    curve: list[CurvePoint] = []
    total = trainer.until - trainer.began
    due = total / CURVE_POINTS
    spoke = 0.0
    while not trainer.finished:
        trainer.advance()
        if trainer.steps - trainer.began >= due * (len(curve) + 1):
            curve.append(_curve_point(trainer, task))
        if time.perf_counter() - spoke >= REPORT_SECONDS:
            spoke = time.perf_counter()
            report(
                {
                    "steps": trainer.steps - trainer.began,
                    "total": total,
                    "score": curve[-1].score if curve else None,
                }
            )
    return curve


def _curve_point(trainer: Trainer, task: Task) -> CurvePoint:
    episodes = trainer.evaluate(CURVE_EPISODES, CURVE_SEED)
    scores = task.metrics(episodes)[task.card.score].float()
    return CurvePoint(
        steps=trainer.steps,
        score=float(scores.mean()),
        scores=tuple(scores.mean(-1).tolist()),
        native_return=float(episodes.reward.sum(0).mean()),
        shaped_return=trainer.shaped_return,
    )


# Torch picks its kernels at first use; in the fork server that is once for all workers.
torch.set_num_threads(1)
