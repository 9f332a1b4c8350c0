"""`marlsmith reproduce`: whole tables of the papers."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from marlsmith.agents.asking.accounting.prices import require_prices
from marlsmith.agents.config import Choice
from marlsmith.agents.make import make_roles
from marlsmith.agents.settings import BUILT_IN, OFFLINE, Budget
from marlsmith.commands.exits import PAUSED, Halted
from marlsmith.commands.follow import interruptible as interruptible
from marlsmith.commands.local import Local
from marlsmith.commands.machine import cores
from marlsmith.commands.options import BranchOptions
from marlsmith.commands.run import STEPS, RunOptions, require_means, run_settings
from marlsmith.graph.methods import RunSettings
from marlsmith.graph.run import Paused, Stop
from marlsmith.results.reproducing import plan
from marlsmith.results.reproducing.drive import Order, Table
from marlsmith.results.reproducing.maker import Maker
from marlsmith.results.reproducing.outcome import write_checks, write_table2
from marlsmith.results.reproducing.plan import Cell, Scopes
from marlsmith.results.reproducing.watching import make_watch
from marlsmith.schemas import BudgetError, PausingError, Scope, UserError, printable

What = Literal["table2", "checks"]
RUNS = 5
"""Of each arm of the checks: as many pairs as an interval needs to say anything."""
FEWEST_SEEDS = 5
"""Below, an interval over seeds says too little to be set beside a published number."""


@dataclass(frozen=True)
class Wanted:
    """A table as the command line says it."""

    what: str
    out: Path | None
    rows: str | None
    columns: str | None
    scope: str | None
    runs: int | None
    seeds: int
    seed: int
    steps: int | None
    train_options: Sequence[str]
    roles: Choice
    evaluation_seed: int | None
    workers: int | None
    branch_seconds: float
    unsafe_jail: bool


def reproduce_table(wanted: Wanted, *, finished: bool, as_json: bool, plain: bool) -> None:
    what = _known(wanted)
    orders = [Order(cell, _settings(cell, wanted)) for cell in _cells(what, wanted)]
    out, shares = wanted.out or Path("runs") / what, what == "table2"  # what is timed is not to be shared
    table = Table(out, orders, _budget(orders), shares=shares)
    if not finished and len(table.finished()) < len(orders):
        _run(table, what, wanted, shares=shares, as_json=as_json, plain=plain)
    if not table.finished():
        raise UserError(f"{out} holds no finished run of this table yet: leave --finished out to make them")
    write = write_table2 if what == "table2" else write_checks
    write(table, _command(wanted), as_json=as_json, tell=lambda sentence: print(sentence, file=sys.stderr))


def _run(table: Table, what: What, wanted: Wanted, *, shares: bool, as_json: bool, plain: bool) -> None:
    """Ctrl-C pauses; a second one ends at once. Raises Halted where the table has not come to its end."""
    _preflight([order for order in table.orders if table.past(order.cell) is None])
    stop = Stop()
    again = f"{table.directory} is paused: the same command goes on with it, and with --finished tells what there is"
    watch = make_watch(table, what, shares=shares, as_json=as_json, plain=plain)
    try:
        with watch, interruptible(stop):
            for cell, event in table.drive(Local(wanted.unsafe_jail), stop, Maker.here(wanted.workers or cores())):
                watch.tell(cell, event)
    except Paused:
        halt = Halted(again, PAUSED)
    except PausingError as error:
        whole = "; what the other runs have left of the table's budget" if isinstance(error, BudgetError) else ""
        halt = Halted(f"{error}{whole}; {again}", PAUSED)
    else:
        return
    raise halt


def _command(wanted: Wanted) -> str:
    """What makes the same table elsewhere; keys and addresses are none of a table's business."""
    said = [("rows", wanted.rows), ("columns", wanted.columns), ("scope", wanted.scope), ("seeds", wanted.seeds)]
    said += [("runs", wanted.runs), ("seed", wanted.seed), ("steps", wanted.steps)]
    said += [("train-option", option) for option in wanted.train_options]
    said.append(("evaluation-seed", wanted.evaluation_seed))
    words = [f"--{name} {value}" for name, value in said if value is not None]
    return " ".join(["marlsmith reproduce", wanted.what, *words])


def _preflight(orders: Sequence[Order]) -> None:
    """What can be known to fail is tried before anything is trained."""
    for order in {order.settings.task: order for order in orders}.values():
        require_means(order.settings)
    for roles in {order.settings.roles.cast: order.settings.roles for order in orders}.values():
        require_prices(roles)
        for endpoint in make_roles(roles).endpoints:
            endpoint.preflight()


# ---------------------------------------------------------------- from options to cells


def _known(wanted: Wanted) -> What:
    if wanted.what not in ("table2", "checks"):
        raise UserError(f"{printable(wanted.what, 80)} is no table: choose table2 or checks")
    if wanted.seeds < FEWEST_SEEDS:
        raise UserError(f"--seeds {wanted.seeds}: a table stands on at least {FEWEST_SEEDS} fresh seeds")
    return "table2" if wanted.what == "table2" else "checks"


def _cells(what: What, wanted: Wanted) -> tuple[Cell, ...]:
    steps = wanted.steps or STEPS
    if what == "table2":
        if wanted.runs is not None:
            raise UserError("--runs is for checks, which are paired by run: say more --seeds for a table")
        rows = plan.chosen("rows", wanted.rows, plan.ROWS)
        columns = plan.chosen("columns", wanted.columns, plan.paper.COLUMNS)
        return plan.table2(rows, columns, _scopes(wanted.scope or "both"))
    asked = any(name not in BUILT_IN for name in wanted.roles.generators)
    arms = plan.chosen("rows", wanted.rows, (*plan.ARMS, plan.MODEL) if asked else plan.ARMS)
    tasks = plan.chosen("columns", wanted.columns, tuple(plan.CHECK_TASKS))
    return plan.checks(arms, tasks, _scope(wanted.scope or "own"), wanted.runs or RUNS, steps=steps, seeds=wanted.seeds)


def _scopes(said: str) -> Scopes:
    if said not in ("own", "team", "both"):
        raise UserError(f"--scope {printable(said, 80)}: choose own, team or both")
    return said  # type: ignore[return-value]


def _scope(said: str) -> Scope:
    if said not in ("own", "team"):
        raise UserError(f"--scope {printable(said, 80)}: checks have one, own or team")
    return said  # type: ignore[return-value]


def _settings(cell: Cell, wanted: Wanted) -> RunSettings:
    adapts = cell.row == plan.PLAIN
    branch = BranchOptions(
        task=cell.task,
        task_options=(),
        algorithm=cell.algorithm,
        train_options=_train_options(cell, wanted.train_options),
        device="cpu",
        steps=None if adapts else wanted.steps,
        episodes=50,
        evaluation_seed=wanted.evaluation_seed,
        branch_seconds=wanted.branch_seconds,
        unsafe_jail=wanted.unsafe_jail,
    )
    roles = wanted.roles
    if cell.generator is not None:
        roles = Choice((cell.generator,), critic=OFFLINE, validator=OFFLINE, config=roles.config)
    overrides = {**cell.overrides, **({} if adapts else {"confirm_seeds": wanted.seeds})}
    seed = wanted.seed + cell.seed
    return run_settings(RunOptions(branch, cell.method, overrides, roles, seed, wanted.workers, out=None))


def _train_options(cell: Cell, said: Sequence[str]) -> list[str]:
    """`KEY=VALUE` for all cells, `COLUMN.KEY=VALUE` for those of one column."""
    found: list[str] = []
    for option in said:
        column, dot, rest = option.partition(".")
        prefixed = bool(dot) and "=" not in column
        if prefixed and column not in (*plan.paper.COLUMNS, *plan.CHECK_TASKS):
            raise UserError(f"--train-option {printable(option, 80)}: there is no column {printable(column, 80)}")
        if not prefixed or column == cell.column:
            found.append(rest if prefixed else option)
    return found


def _budget(orders: Sequence[Order]) -> Budget:
    """Of the whole table: the same stands in the settings of all cells whose roles the command line names."""
    return next((o.settings.roles.budget for o in orders if o.cell.generator is None), Budget())
