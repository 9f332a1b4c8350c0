"""`marlsmith reproduce`: whole tables of the papers."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from marlsmith.agents.asking.accounting.prices import require_prices
from marlsmith.agents.config import Choice
from marlsmith.agents.make import make_roles
from marlsmith.agents.settings import BUILT_IN, OFFLINE, Budget
from marlsmith.commands.exits import PAUSED, Halted
from marlsmith.commands.follow import interruptible
from marlsmith.commands.local import Local
from marlsmith.commands.machine import cores
from marlsmith.commands.reproduce_again import command_of, with_roles
from marlsmith.graph.methods import RunSettings
from marlsmith.graph.run import Paused, Stop
from marlsmith.results.reproducing import plan
from marlsmith.results.reproducing.drive import Order, OtherSettings, Table, begun
from marlsmith.results.reproducing.maker import Maker
from marlsmith.results.reproducing.outcome import write_checks, write_table2
from marlsmith.results.reproducing.plan import Cell, Scopes, What
from marlsmith.results.reproducing.watching import make_watch
from marlsmith.schemas import BudgetError, PausingError, Scope, UserError, printable

RUNS = 5
"""Of each arm of the checks: as many pairs as an interval needs to say anything."""


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
    out, shares = wanted.out or Path("runs") / what, what == "table2"  # what is timed is not to be shared
    if finished:
        table, command = _made(what, wanted, out)
    else:
        table, command = _ordered(what, wanted, out, shares=shares), _command(wanted)
        if len(table.finished()) < len(table.orders):
            _run(table, what, wanted, shares=shares, as_json=as_json, plain=plain)
    write = write_table2 if what == "table2" else write_checks
    write(table, command, as_json=as_json, tell=lambda sentence: print(sentence, file=sys.stderr))


def _ordered(what: What, wanted: Wanted, out: Path, *, shares: bool) -> Table:
    orders = [Order(cell, _settings(cell, wanted)) for cell in _cells(what, wanted)]
    try:
        return Table(out, orders, _budget(orders), shares=shares)
    except OtherSettings as error:
        there = begun(what, out)
        goes_on = with_roles(f"{command_of(what, there)} --out {quote(str(out))}", there)
        raise UserError(f"{error}: {goes_on} goes on with what is there, or choose another --out") from None


def _made(what: What, wanted: Wanted, out: Path) -> tuple[Table, str]:
    """What the directory holds, as it was run: of the options only those that choose among cells count."""
    rows = None if wanted.rows is None else _rows(what, wanted, model=True)
    columns = None if wanted.columns is None else _columns(what, wanted)
    there = {
        cell: run
        for cell, run in begun(what, out).items()
        if (rows is None or cell.row in rows)
        and (columns is None or cell.column in columns)
        and (what == "checks" or wanted.scope is None or cell.scope in (None, *_each(_scopes(wanted.scope))))
    }
    table = Table(out, [Order(cell, run.settings) for cell, run in there.items()], Budget(), shares=False)
    if not (done := table.finished()):
        raise UserError(f"{out} holds no finished run of this table yet: leave --finished out to make them")
    return table, command_of(what, done)


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
    from marlsmith.commands.run import require_means

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
    return "table2" if wanted.what == "table2" else "checks"


def _cells(what: What, wanted: Wanted) -> tuple[Cell, ...]:
    from marlsmith.commands.run import STEPS

    model = any(name not in BUILT_IN for name in wanted.roles.generators)
    rows, columns, scopes = _rows(what, wanted, model=model), _columns(what, wanted), _scopes(wanted.scope)
    if what == "table2":
        if wanted.runs is not None:
            raise UserError("--runs is for checks, which are paired by run: say more --seeds for a table")
        return plan.table2(rows, columns, scopes)
    if wanted.scope is not None and len(_each(scopes)) > 1:
        raise UserError(f"--scope {scopes}: checks have one, own or team")
    steps, runs = wanted.steps or STEPS, wanted.runs or RUNS
    return plan.checks(rows, columns, _each(scopes)[0], runs, steps=steps, seeds=wanted.seeds)


def _rows(what: What, wanted: Wanted, *, model: bool) -> tuple[str, ...]:
    arms = (*plan.ARMS, plan.MODEL) if model else plan.ARMS
    return plan.chosen("rows", wanted.rows, plan.ROWS if what == "table2" else arms)


def _columns(what: What, wanted: Wanted) -> tuple[str, ...]:
    known = plan.paper.COLUMNS if what == "table2" else tuple(plan.CHECK_TASKS)
    return plan.chosen("columns", wanted.columns, known)


def _scopes(said: str | None) -> Scopes:
    match said:
        case None | "both":
            return "both"
        case "own" | "team":
            return said
    raise UserError(f"--scope {printable(said, 80)}: choose own, team or both")


def _each(scopes: Scopes) -> tuple[Scope, ...]:
    return ("own", "team") if scopes == "both" else (scopes,)


def _settings(cell: Cell, wanted: Wanted) -> RunSettings:
    from marlsmith.commands.options import BranchOptions
    from marlsmith.commands.run import RunOptions, run_settings

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
