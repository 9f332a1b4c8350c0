"""The command line that a table which is there was made by, read from its runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from marlsmith.agents.settings import BUILT_IN
from marlsmith.commands.episodes import evaluation_seed
from marlsmith.graph.methods import RunSettings
from marlsmith.marl.config import TrainConfig
from marlsmith.marl.presets import PRESETS
from marlsmith.results.past import PastRun
from marlsmith.results.reproducing import plan
from marlsmith.results.reproducing.plan import Cell, What

Runs = Mapping[Cell, PastRun]


def command_of(what: What, runs: Runs) -> str:
    """For all of them; keys, budgets and addresses are none of a table's business. There is at least one run."""
    return " ".join(["marlsmith reproduce", what, *_words(what, runs)])


def with_roles(command: str, runs: Runs) -> str:
    """What a model made is gone on with by the same model, which must be named again."""
    modelled = any(name not in BUILT_IN for run in runs.values() for name in run.settings.roles.generators)
    return f"`{command}`" + (" with the same --generator" if modelled else "")


def _words(what: What, runs: Runs) -> Iterator[str]:
    cells, all_settings = list(runs), [run.settings for run in runs.values()]
    searches = [settings for settings in all_settings if not settings.method.adapts]
    native = [plan.NATIVE] if what == "table2" else []
    yield f"--rows {','.join([*native, *_known(plan.ROWS if native else (*plan.ARMS, plan.MODEL), cells)])}"
    columns = plan.paper.COLUMNS if what == "table2" else tuple(plan.CHECK_TASKS)
    yield f"--columns {','.join(column for column in columns if any(cell.column == column for cell in cells))}"
    yield f"--scope {_scope(what, runs)}"
    if what == "checks":
        yield f"--runs {1 + max(cell.seed for cell in cells)}"
    if searches:
        yield f"--seeds {searches[0].method.confirm_seeds}"
        yield f"--steps {searches[0].train.steps}"
    yield f"--seed {all_settings[0].seed - cells[0].seed}"
    yield from (f"--train-option {option}" for option in _train_options(runs))
    said = all_settings[0].evaluation.seed
    if said != evaluation_seed():  # this machine's own stays a secret, and need not be said here
        yield f"--evaluation-seed {said}"


def _known(rows: tuple[str, ...], cells: list[Cell]) -> list[str]:
    return [row for row in rows if any(cell.row == row for cell in cells)]


def _scope(what: What, runs: Runs) -> str:
    if what == "checks":
        return next(run.settings.method.scope for run in runs.values())
    scopes = {cell.scope for cell in runs} - {None}
    return "both" if len(scopes) != 1 else str(*scopes)


def _train_options(runs: Runs) -> Iterator[str]:
    """What is not as the preset has it, by column."""
    seen: set[str] = set()
    for cell, run in runs.items():
        if cell.column not in seen:
            seen.add(cell.column)
            yield from (f"{cell.column}.{name}={_value(value)}" for name, value in _changes(run.settings))


def _changes(settings: RunSettings) -> Iterator[tuple[str, object]]:
    train = settings.train
    preset = PRESETS.get((settings.task.partition("/")[0], train.algorithm), {})
    usual = TrainConfig.model_validate({**preset, "algorithm": train.algorithm, "steps": train.steps})
    for name in TrainConfig.model_fields:
        if getattr(train, name) != getattr(usual, name) and name != "device":
            yield name, getattr(train, name)


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
