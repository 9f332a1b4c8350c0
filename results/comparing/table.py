"""A comparison on the terminal: what each run came to, and what it cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from marlsmith.graph.telling.speech import bar, count, interval, money
from marlsmith.marl.statistics import Improvement
from marlsmith.results.comparing.groups import Group
from marlsmith.results.comparing.rows import By, Row
from marlsmith.schemas import printable

NUMBERS = {"score", "native", "search steps", "main run", "seconds", "tokens", "money"}
LONGEST_LABEL = 20
"""Characters of a name in a table, so that its columns have room on a narrow screen."""


def tables(found: Sequence[Group], by: By) -> Iterator[RenderableType]:
    for number, group in enumerate(found):
        if number:
            yield Text()
        yield Text(printable(group.task, 120), "bold")
        labels = _labels(group)
        yield _results(group, by, labels)
        if any(row.gain is not None for row in group.rows) or any(group.improvements):
            yield Text()
            yield _comparisons(group, by, labels)
        yield Text()
        yield _costs(group, by, labels)
        yield Text()
        yield from (Text(line, "dim") for line in _legend(group, by, labels))
    yield Text()
    yield from (Text(line, "dim") for line in _notes(found, by))


def _labels(group: Group) -> list[str]:
    """Names, or numbers that stand for them below."""
    names = [printable(row.name, 80) for row in group.rows]
    return names if max(map(len, names)) <= LONGEST_LABEL else [f"({number})" for number in range(1, len(names) + 1)]


def _legend(group: Group, by: By, labels: Sequence[str]) -> Iterator[str]:
    for row, label in zip(group.rows, labels, strict=True):
        name = printable(row.name, 80)
        said = [row.method] if by == "run" else [count(len(row.runs), "run")]
        said = [*([name] if name != label else []), *said, f"played by {printable(row.players, 120)}"]
        yield f"{label}: {'; '.join(said)}"


def _grid(columns: Sequence[str]) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for name in columns:
        table.add_column(name, justify="right" if name in NUMBERS else "left", overflow="fold")
    return table


def _results(group: Group, by: By, labels: Sequence[str]) -> Table:
    table = _grid((by, "score", "95% interval", "", "native", "promoted"))
    for row, label in zip(group.rows, labels, strict=True):
        native = f"{row.native.score:.3f}" if row.native is not None else ""
        table.add_row(Text(label, "bold"), *_score(row), native, _promoted(row))
    return table


def _comparisons(group: Group, by: By, labels: Sequence[str]) -> Table:
    several = len(group.rows) > 1
    table = _grid((by, "gain over the native task", *(["above the first"] if several else [])))
    for row, label, improvement in zip(group.rows, labels, group.improvements, strict=True):
        above = [_above(row, group, improvement)] if several else []
        table.add_row(Text(label, "bold"), _gain(row), *above)
    return table


def _score(row: Row) -> tuple[RenderableType, ...]:
    if row.outcome is None:
        return Text("none", "red"), "", ""
    spread, style = row.outcome.interval, "green" if row.promoted else "dim"
    return f"{row.outcome.score:.3f}", Text(interval(spread)), Text(bar(row.outcome.score, 8), style)


def _gain(row: Row) -> Text:
    if row.gain is None:
        return Text("")
    return Text(f"{row.gain.mean:+.3f} {interval(row.gain.interval, '+')}", "" if row.promoted else "dim")


def _promoted(row: Row) -> Text:
    if len(row.runs) > 1:
        return Text(f"{row.promoted} of {len(row.runs)}")
    return Text("yes", "green") if row.promoted else Text("no", "yellow")


def _above(row: Row, group: Group, improvement: Improvement | None) -> Text:
    if improvement is None:
        return Text("the first" if row is group.rows[0] else "", "dim")
    spread = "" if improvement.interval is None else " [{:.2f}, {:.2f}]".format(*improvement.interval)
    return Text(f"{improvement.probability:.2f}{spread}")


def _costs(group: Group, by: By, labels: Sequence[str]) -> Table:
    table = _grid((by, "search steps", "main run", "seconds", "tokens", "money"))
    for row, label in zip(group.rows, labels, strict=True):
        cost = row.cost
        main = "" if cost.main_steps is None else f"{cost.main_steps:,.0f}"
        paid = "" if cost.money is None else money(cost.money)
        numbers = (f"{cost.search_steps:,.0f}", main, f"{cost.seconds:,.0f}", f"{cost.tokens:,.0f}", paid)
        table.add_row(Text(label, "bold"), *numbers)
    return table


def _notes(found: Sequence[Group], by: By) -> Iterator[str]:
    rows = [row for group in found for row in group.rows]
    over = "over fresh seeds" if by == "run" else "over runs, each of which counts with the one number that it came to"
    yield f"Score: interquartile mean {over}; of what was promoted, else of the native task."
    gain = "of the run's best candidate, paired by seed" if by == "run" else "of what came of the runs, paired by run"
    yield f"Gain over the native task: mean, 95% interval; {gain}."
    if any(not row.fresh for row in rows):
        late = ", ".join(printable(row.name, 80) for row in rows if not row.fresh)
        yield f"Not on fresh seeds, for nothing came so far: {late}."
    if any(each is not None for group in found for each in group.improvements):
        unit = "seed" if by == "run" else "run"
        yield (
            f"Above the first: how often a {unit} of this one scores above a {unit} of the first, ties as half, and "
            "95% bootstrap interval. Nothing is paired, also where seeds are the same."
        )
    yield "Search steps are environment steps of all trainings beside the main run, which only adapted runs have."
    if by == "method":
        yield "Costs are means of the runs."
