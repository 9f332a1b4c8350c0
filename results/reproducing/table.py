"""From finished runs to the numbers of a table. Pure: runs in, rows out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from marlsmith.graph.telling.trace import Event
from marlsmith.marl.statistics import iqm
from marlsmith.results.past import PastRun
from marlsmith.results.reproducing import paper
from marlsmith.results.reproducing.plan import NATIVE, ROWS, Cell
from marlsmith.schemas import Scope

STRICT = "final_coverage"


@dataclass(frozen=True)
class Entry:
    """One number of a table, with what it rests on."""

    row: str
    column: str
    scope: Scope | None
    candidate: str
    score: float
    """Interquartile mean over fresh seeds."""
    interval: tuple[float, float]
    scores: tuple[float, ...]
    strict: float | None
    """The same of `final_coverage`."""
    paper: float
    promoted: bool | None
    """None of the native row."""
    gain: tuple[float, float, float] | None
    """Mean paired difference to the native row and its 95% interval."""
    steps: int | None
    seconds: float | None
    """Of the cell's whole run."""

    @property
    def above(self) -> bool:
        return self.score > self.paper

    @property
    def surely_above(self) -> bool:
        return self.interval[0] > self.paper

    @property
    def mark(self) -> str:
        return "▲" if self.surely_above else "△" if self.above else ""


@dataclass(frozen=True)
class Missing:
    """A cell whose run ended without a number on fresh seeds, and why."""

    cell: Cell
    reason: str


def entries(runs: Mapping[Cell, PastRun]) -> tuple[list[Entry], list[Missing]]:
    """In the order of the paper's rows, column by column."""
    found: list[Entry] = []
    missing: list[Missing] = []
    natives: dict[str, Entry] = {}
    for cell, run in runs.items():
        last = run.require_finished()
        if last["phase"] != "confirm" or last["best"] is None or last["native"] is None:
            missing.append(Missing(cell, last["reason"]))
            continue
        best, gain = last["best"], last["gain"]
        native = _entry(NATIVE, cell.column, None, last["native"], promoted=None, gain=None, cost=(None, None))
        natives.setdefault(cell.column, native)
        paired = (gain["mean"], *(gain["interval"] or (gain["mean"],) * 2)) if gain else None
        cost = last["environment_steps"], last["seconds"]
        found.append(_entry(cell.row, cell.column, cell.scope, best, last["promoted"], paired, cost))
    place = {name: number for number, name in enumerate(ROWS)}
    columns = {name: number for number, name in enumerate(paper.COLUMNS)}
    ordered = sorted(
        [*natives.values(), *found],
        key=lambda entry: (columns[entry.column], place[entry.row], entry.scope or ""),
    )
    return ordered, missing


def _entry(
    row: str,
    column: str,
    scope: Scope | None,
    standing: Event,
    promoted: bool | None,
    gain: tuple[float, float, float] | None,
    cost: tuple[int | None, float | None],
) -> Entry:
    scores = tuple(map(float, standing["scores"]))
    low, high = standing["interval"] or (min(scores), max(scores))
    return Entry(
        row=row,
        column=column,
        scope=scope,
        candidate=standing.get("candidate", NATIVE),
        score=iqm(scores),
        interval=(low, high),
        scores=scores,
        strict=standing["metrics"].get(STRICT),
        paper=paper.coverage(row, column),
        promoted=promoted,
        gain=gain,
        steps=cost[0],
        seconds=cost[1],
    )


@dataclass(frozen=True)
class Round:
    """The best candidate of a search up to a round, on the seeds of the search, which flatter it."""

    number: int
    score: float
    interval: tuple[float, float]


def evolution(run: PastRun) -> list[Round]:
    """LERO's Fig. 4 for one run."""
    rounds: list[Round] = []
    best: Round | None = None
    for number in range(1, run.settings.method.rounds + 1):
        of_round = (
            e for id, e in run.evaluations.items() if id in run.candidates and run.candidates[id].round == number
        )
        for evaluation in of_round:
            if evaluation.score is not None and (best is None or evaluation.score > best.score):
                best = Round(number, evaluation.score, evaluation.interval or (evaluation.score,) * 2)
        if best is not None:
            rounds.append(Round(number, best.score, best.interval))
    return rounds


def lines(found: Sequence[Entry]) -> list[tuple[str, Scope | None]]:
    """Rows of the table: each with its scope, in the order of the paper."""
    present = {(entry.row, entry.scope) for entry in found}
    return sorted(present, key=lambda line: (ROWS.index(line[0]), line[1] or ""))
