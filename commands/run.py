"""`marlsmith run`: the settings, a sign of life from every role, and the search."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from marlsmith.agents.asking.address import parse_model, written
from marlsmith.agents.make import make_roles
from marlsmith.agents.offline.draft import Draft
from marlsmith.agents.settings import OFFLINE, ModelSettings, RoleSettings
from marlsmith.commands.follow import follow
from marlsmith.commands.local import Local
from marlsmith.commands.machine import cores
from marlsmith.commands.options import BranchOptions
from marlsmith.commands.references import reference, verify_external
from marlsmith.graph.methods import RunSettings, method_from
from marlsmith.graph.run import start
from marlsmith.marl.tasks import make_task
from marlsmith.schemas import UserError


@dataclass(frozen=True)
class RunOptions:
    """A run as the command line says it. Of `overrides`, fields of the method, None is as the method has it."""

    branch: BranchOptions
    method: str
    overrides: Mapping[str, object]
    generator: str
    critic: str
    validator: str
    seed: int
    workers: int | None
    out: Path | None


def run_search(options: RunOptions, *, as_json: bool, plain: bool) -> None:
    """Nothing is written before everything that can be known to fail has been tried."""
    settings = _settings(options)
    _preflight(settings)
    verify_external(settings.task)
    path = options.out or _default_directory(settings.task, options.method)
    outfitter = Local(settings.unsafe_jail)
    follow(lambda stop: start(settings, outfitter, path, stop=stop), path, as_json=as_json, plain=plain)


def _settings(options: RunOptions) -> RunSettings:
    branch = options.branch
    task = reference(branch.task, branch.task_options)
    train = branch.train_config(task)
    overrides = {name: value for name, value in options.overrides.items() if value is not None}
    try:
        return RunSettings(
            task=task,
            method_name=options.method,
            method=method_from(options.method, overrides),
            train=train,
            evaluation=branch.evaluation(),
            roles=_roles(options),
            seed=options.seed,
            workers=options.workers or cores(),
            branch_seconds=branch.branch_seconds,
            unsafe_jail=branch.unsafe_jail,
        )
    except ValidationError as error:
        fault = error.errors()[0]
        raise UserError(f"{'.'.join(map(str, fault['loc']))} = {fault['input']!r}: {fault['msg']}") from None


def _roles(options: RunOptions) -> RoleSettings:
    """With addresses written out: a resume from another shell must reach the same models."""
    models: dict[str, ModelSettings] = {}

    def player(said: str) -> str:
        if said == OFFLINE:
            return said
        model = parse_model(said)
        name = written(model)
        models[name] = model
        return name

    generator, critic, validator = map(player, (options.generator, options.critic, options.validator))
    return RoleSettings(generators=(generator,), critic=critic, validator=validator, models=models)


def _preflight(settings: RunSettings) -> None:
    """Asks every role for a sign of life before anything is written."""
    roles = settings.roles
    if OFFLINE in roles.generators:
        method = settings.method
        Draft.blank(make_task(settings.task).card, method.scope, method.evolve)  # raises where it has no means
    for endpoint in make_roles(roles).endpoints:
        endpoint.preflight()


def _default_directory(task: str, method: str) -> Path:
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    name = re.sub(r"[^A-Za-z0-9]+", "_", task.rsplit("/", 1)[-1].removesuffix(".toml")).strip("_")
    return Path("runs") / f"{stamp}-{name}-{method}"
