"""`marlsmith train`: one branch outside any run."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from marlsmith.commands.files import read_signal
from marlsmith.commands.options import BranchOptions, known_scope
from marlsmith.commands.references import reference, verify_external
from marlsmith.commands.terminal import progress_bar, require_jail, warn
from marlsmith.graph.methods import reward_rows
from marlsmith.marl.config import BranchRequest, TrainConfig
from marlsmith.marl.local import SLOW_REWARD, LocalExecutor
from marlsmith.marl.signals.static import by_environment
from marlsmith.marl.tasks import make_task
from marlsmith.schemas import NATIVE, Evaluation, Scope, Signal, UserError


@dataclass(frozen=True)
class TrainingOptions:
    """A training as the command line says it; without a file it is of the native task."""

    branch: BranchOptions
    file: Path | None
    scope: str
    seeds: range
    out: Path | None


def train_signal(options: TrainingOptions, *, as_json: bool, plain: bool) -> None:
    branch = options.branch
    task = reference(branch.task, branch.task_options)
    card = make_task(task).card
    config = branch.train_config(task)
    signal = NATIVE if options.file is None else read_signal(options.file)
    verify_external(task)
    scope = known_scope(options.scope)
    evaluation = _train(signal, scope, _request(options, task, config), options, quiet=plain or as_json)
    for warning in evaluation.warnings:
        if warning != SLOW_REWARD:  # that was said before the wait
            warn(warning)
    if as_json:
        print(_as_json(evaluation))
    else:
        _print_evaluation(evaluation, card.score, options)


def _request(options: TrainingOptions, task: str, config: TrainConfig) -> BranchRequest:
    return BranchRequest(
        branch="train",
        candidate=options.file.name if options.file else "native",
        task=task,
        seeds=tuple(options.seeds),
        train=config,
        evaluation=options.branch.evaluation(),
    )


def _train(
    signal: Signal, scope: Scope, request: BranchRequest, options: TrainingOptions, *, quiet: bool
) -> Evaluation:
    """The signal is checked first. Raises UserError where it fails."""
    branch, config = options.branch, request.train
    executor = LocalExecutor(1, branch_seconds=branch.branch_seconds, unsafe_jail=branch.unsafe_jail)
    rows = reward_rows(config, len(request.seeds))
    try:
        require_jail(executor, config.device)
        if not signal.is_native and (problems := executor.check(signal, request.task, scope, rows=rows)):
            raise UserError(f"{options.file} is refused ({problems[0].stage}): {problems[0].told}")
        if by_environment(signal):
            warn(SLOW_REWARD)
        with _checkpoint_directory(options.out) as directory, progress_bar("training", config.steps, quiet) as move:
            progress = None if move is None else (lambda said: move(said.steps))
            evaluation = executor.train(request, signal, directory, progress)
            if evaluation.error is not None:
                raise UserError(f"the training failed ({evaluation.error.stage}): {evaluation.error.told}")
    finally:
        executor.close()
    return evaluation


@contextmanager
def _checkpoint_directory(out: Path | None) -> Iterator[Path]:
    """Where the checkpoint goes: a new directory that stays only if the training succeeds, or one for scratch."""
    if out is None:
        with tempfile.TemporaryDirectory() as scratch:
            yield Path(scratch)
        return
    try:
        out.mkdir(parents=True)
    except FileExistsError:
        raise UserError(f"{out} exists: choose another directory") from None
    except OSError as error:
        reason = (error.strerror or "fault").lower()
        raise UserError(f"cannot create {out} ({reason}): choose another directory") from None
    try:
        yield out
    except BaseException:
        shutil.rmtree(out, ignore_errors=True)
        raise


def _as_json(evaluation: Evaluation) -> str:
    keys = ("score", "scores", "interval", "metrics", "steps_per_second", "seconds")
    data = evaluation.model_dump(mode="json")
    return json.dumps({key: data[key] for key in keys})


def _print_evaluation(evaluation: Evaluation, score: str, options: TrainingOptions) -> None:
    console = Console(highlight=False)
    low, high = evaluation.interval or (0.0, 0.0)
    console.print(
        f"{score} {evaluation.score:.3f} [{low:.3f}, {high:.3f}] over {len(options.seeds)} seeds: "
        f"{', '.join(f'{one:.3f}' for one in evaluation.scores)}",
        markup=False,
    )
    console.print(", ".join(f"{name} {value:.4g}" for name, value in evaluation.metrics.items()), markup=False)
    speed = f"{evaluation.steps_per_second:,.0f} environment steps/s"
    console.print(f"{evaluation.steps:,} steps a seed in {evaluation.seconds:.1f} s, {speed}", markup=False)
    if options.out is not None:
        console.print(f"checkpoint {options.out}/checkpoint.safetensors", markup=False)
