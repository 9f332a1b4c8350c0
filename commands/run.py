"""`marlsmith run`: the settings, a sign of life from every role, and the search."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from marlsmith.agents.asking.accounting.prices import require_prices
from marlsmith.agents.config import Choice, role_settings
from marlsmith.agents.make import make_roles
from marlsmith.agents.offline.draft import Draft
from marlsmith.agents.settings import BUILT_IN
from marlsmith.commands.follow import follow
from marlsmith.commands.local import Local
from marlsmith.commands.machine import cores
from marlsmith.commands.options import BranchOptions
from marlsmith.commands.references import reference, verify_external
from marlsmith.graph.methods import PRESETS, Method, RunSettings, method_from
from marlsmith.graph.run import start
from marlsmith.marl.presets import parse_settings
from marlsmith.marl.statistics import fewest_pairs
from marlsmith.marl.tasks import make_task
from marlsmith.results.tracking.tracker import require_trackers
from marlsmith.schemas import UserError

STEPS = 30_000
"""Environment steps of each seed of a candidate that is trained from scratch (LERO, section 4.2)."""


OF_A_SEARCH = ("confirm_seeds", "selection")
"""What a main run does not read: it is confirmed on its own members, and has one signal at a time."""


@dataclass(frozen=True)
class RunOptions:
    """A run as the command line says it. Of `overrides`, fields of the method, None is as the method has it."""

    branch: BranchOptions
    method: str
    overrides: Mapping[str, object]
    roles: Choice
    seed: int
    workers: int | None
    out: Path | None


def run_search(options: RunOptions, *, as_json: bool, plain: bool, trackers: Sequence[str] = ()) -> None:
    """Nothing is written before everything that can be known to fail has been tried."""
    require_trackers(trackers)
    settings = run_settings(options)
    _preflight(settings)
    verify_external(settings.task)
    path = options.out or default_directory(settings.task, options.method)
    outfitter = Local(settings.unsafe_jail)
    follow(
        lambda stop: start(settings, outfitter, path, stop=stop),
        path,
        as_json=as_json,
        plain=plain,
        trackers=trackers,
    )


def run_settings(options: RunOptions) -> RunSettings:
    """All that the run will depend on, written out: a resume needs neither options nor marlsmith.toml."""
    task = reference(options.branch.task, options.branch.task_options)
    method, steps = _measured(_method(options), options)
    branch = replace(options.branch, steps=steps)
    train = branch.train_config(task)
    if method.adapts:
        # Whole rollouts, so that all stages are equal, and as long as is said.
        changes: dict[str, object] = {"branch_steps": train.whole(method.branch_steps)}
        if "fade" in parse_settings(branch.train_options):
            changes["fade"] = train.fade
        method = method.model_copy(update=changes)
        train = train.model_copy(update={"steps": method.stages * method.branch_steps})
    try:
        return RunSettings(
            task=task,
            method_name=options.method,
            method=method,
            train=train,
            evaluation=branch.evaluation(),
            roles=role_settings(options.roles),
            seed=options.seed,
            workers=options.workers or cores(),
            branch_seconds=branch.branch_seconds,
            unsafe_jail=branch.unsafe_jail,
        )
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        option = ".".join(map(str, fault["loc"])).replace("_", "-")
        raise UserError(f"--{option} {fault['input']}: {fault['msg'][:1].lower()}{fault['msg'][1:]}") from None


def _measured(method: Method, options: RunOptions) -> tuple[Method, int]:
    """The method and the length of a training: of a candidate's, or of the main run, which has stages."""
    _require_enough_seeds(method)
    if not method.adapts:
        if options.overrides.get("branch_steps") is not None:
            raise UserError("--branch-steps is for a main run that is adapted: say --steps, or --method llm-also")
        return method, options.branch.steps or STEPS
    for name in OF_A_SEARCH:
        if method.prelude is None and options.overrides.get(name) is not None:
            raise UserError(
                f"--{name.replace('_', '-')} is for a search from scratch: leave it out with --method {options.method}"
            )
    whole = method.stages * method.branch_steps
    if options.branch.steps is None or options.branch.steps == whole:
        return method, whole
    if options.overrides.get("branch_steps") is not None:
        raise UserError(
            f"--steps {options.branch.steps} is not {method.stages} stages of --branch-steps {method.branch_steps}: "
            "leave one of the two out"
        )
    branch_steps = -(-options.branch.steps // method.stages)
    return method.model_copy(update={"branch_steps": branch_steps}), method.stages * branch_steps


def _require_enough_seeds(method: Method) -> None:
    """Refuses a main run whose gate could never let anything pass, however good it was."""
    if not method.adapts:
        return
    if not method.gate:
        if method.search_seeds < 2:
            raise UserError("--seeds 1: a main run has at least 2 members, so that its spread is known")
        return
    tests = method.candidates + method.approve  # a person's own signal is one more
    needed = fewest_pairs(method.level / tests)
    if method.search_seeds < needed:
        raise UserError(
            f"--seeds {method.search_seeds} can prove no gain at level {method.level:g} / {tests}: "
            f"use at least {needed}"
        )


def _method(options: RunOptions) -> Method:
    """An ablation that is named for what it evolves cannot evolve something else."""
    overrides = {name: value for name, value in options.overrides.items() if value is not None}
    method = method_from(options.method, overrides)
    named = PRESETS[options.method].evolve
    if named not in ("both", method.evolve):
        raise UserError(
            f"--method {options.method} evolves the {named} and --evolve says {method.evolve}: "
            "leave one out, or take --method lero or lro"
        )
    return method


def _preflight(settings: RunSettings) -> None:
    """Asks every role for a sign of life before anything is written."""
    require_means(settings)
    require_prices(settings.roles)
    for endpoint in make_roles(settings.roles).endpoints:
        endpoint.preflight()


def require_means(settings: RunSettings) -> None:
    """Refuses a task that gives the offline designer nothing to design with, where it is to design."""
    if {*BUILT_IN} & {*settings.roles.generators}:
        method = settings.method
        Draft.blank(make_task(settings.task).card, method.scope, method.evolve)


def default_directory(task: str, method: str) -> Path:
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    name = re.sub(r"[^A-Za-z0-9]+", "_", task.rsplit("/", 1)[-1].removesuffix(".toml")).strip("_")
    return Path("runs") / f"{stamp}-{name}-{method}"
