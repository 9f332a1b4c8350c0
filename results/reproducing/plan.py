"""Which runs a table is made of. Pure: nothing is trained here, and nothing is read."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from marlsmith.agents.settings import OFFLINE, RANDOM
from marlsmith.results.reproducing import paper
from marlsmith.schemas import Scope, UserError, printable

Scopes = Literal["own", "team", "both"]
What = Literal["table2", "checks"]

NATIVE = "native"
ROWS = tuple(paper.TABLE_2)
REWARD_ONLY = ("lr", "ler")
"""Rows that design no features: own and team scope are one and the same run."""

TASKS = {"spread": "mpe/simple_spread", "reference": "mpe/simple_reference"}


@dataclass(frozen=True)
class Cell:
    """One run, and where it stands in its table."""

    row: str
    column: str
    scope: Scope | None
    """None: it reads no features, so that it stands for both."""
    task: str
    algorithm: str
    method: str
    overrides: Mapping[str, object] = field(default_factory=dict, compare=False)
    seed: int = 0
    """Of the run, beside that of the whole table."""
    generator: str | None = None
    """None: whoever was named on the command line."""

    @property
    def name(self) -> str:
        """Its directory."""
        parts = [self.column, self.row, *([self.scope] if self.scope else []), *([f"{self.seed}"] if self.seed else [])]
        return "-".join(parts)

    @property
    def words(self) -> str:
        run = f", run {self.seed}" if self.seed else ""
        return f"{self.column} {label(self.row, self.scope)}{run}"


def label(row: str, scope: Scope | None) -> str:
    """As tables name a row."""
    name = row.upper() if row in ROWS and row != NATIVE else row
    return name if scope is None else f"{name} ({scope})"


def chosen(what: str, said: str | None, known: Sequence[str]) -> tuple[str, ...]:
    """A comma list of the command line, in the order of the table. Raises UserError."""
    if said is None:
        return tuple(known)
    names = [name.strip().lower() for name in said.split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise UserError(f"--{what} {printable(name, 80)}: choose from {','.join(known)}")
    if not names:
        raise UserError(f"--{what} is empty: choose from {','.join(known)}")
    return tuple(name for name in known if name in names)


def table2(rows: Sequence[str], columns: Sequence[str], scopes: Scopes) -> tuple[Cell, ...]:
    """The runs of LERO's Table 2. The native row needs none: each run compares its best with the native task.

    All have one seed, and with it the same fresh seeds: the rows of a column are compared on the same ground.
    """
    if set(rows) == {NATIVE}:
        raise UserError("--rows native: it is measured beside another row, on the same seeds: name one as well, as lr")
    each: tuple[Scope, ...] = ("own", "team") if scopes == "both" else (scopes,)
    return tuple(
        Cell(row, column, scope, TASKS[task], algorithm, row, {} if scope is None else {"scope": scope})
        for column in columns
        for algorithm, _, task in [column.partition("-")]
        for row in rows
        if row != NATIVE
        for scope in ((None,) if row in REWARD_ONLY else each)
    )


# ---------------------------------------------------------------- the three checks

CHECK_TASKS = {
    "spread": "mpe/simple_spread",
    "reference": "mpe/simple_reference",
    "foraging": "lbf/8x8-2p-2f-coop",
}
BEST_OF_N, PLAIN, MODEL = "best-of-n", "plain", "model"
ARMS = (OFFLINE, RANDOM, BEST_OF_N, PLAIN)
"""`plain` is one training of the native task, as long as a whole search."""

ROUNDS, CANDIDATES, SEARCH_SEEDS = 4, 3, 4
"""LERO's, which `best-of-n` and `plain` are to equal."""


def checks(
    arms: Sequence[str], tasks: Sequence[str], scope: Scope, runs: int, *, steps: int, seeds: int
) -> tuple[Cell, ...]:
    """Every arm on every task with every run seed; run by run, so that what there is can be compared early."""
    trainings = (1 + ROUNDS * CANDIDATES) * SEARCH_SEEDS + 2 * seeds
    how: dict[str, tuple[str, dict[str, object], str | None]] = {
        OFFLINE: ("lero", {}, OFFLINE),
        RANDOM: ("lero", {"diagnose": False}, RANDOM),
        BEST_OF_N: ("lero", {"rounds": 1, "candidates": ROUNDS * CANDIDATES}, OFFLINE),
        PLAIN: (
            "also-sparse",
            {"stages": 1, "branch_steps": trainings * steps // seeds, "search_seeds": seeds},
            OFFLINE,
        ),
        MODEL: ("lero", {}, None),
    }
    return tuple(
        Cell(arm, task, None, CHECK_TASKS[task], "mappo", method, {**overrides, "scope": scope}, run, generator)
        for run in range(runs)
        for task in tasks
        for arm in arms
        for method, overrides, generator in [how[arm]]
    )


# ---------------------------------------------------------------- what is there


def named(what: What, directories: Collection[str]) -> tuple[Cell, ...]:
    """The cells whose runs these directories are, by their names alone; others are none of this table's."""
    if what == "table2":
        known = table2(ROWS, paper.COLUMNS, "both")
    else:  # runs are numbered from 0 on, so there are no more than directories
        known = checks((*ARMS, MODEL), tuple(CHECK_TASKS), "own", len(directories), steps=1, seeds=1)
    return tuple(cell for cell in known if cell.name in directories)
