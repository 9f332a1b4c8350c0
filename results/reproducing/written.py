"""A table as Markdown, as CSV and for the terminal."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence

from rich.table import Table as Grid

from marlsmith.graph.telling.speech import count
from marlsmith.results.reproducing.paper import COLUMNS
from marlsmith.results.reproducing.plan import label
from marlsmith.results.reproducing.table import Entry, Missing, Round, lines

LEGEND = (
    "Coverage (share of landmarks that had an agent within 0.1 at any time of the episode): interquartile mean over "
    "fresh seeds with its 95% interval, and in parentheses the paper's number. ▲ the interval lies above the paper's "
    "number, △ only the mean does. Each cell is one search with one run seed: its interval is over the seeds of the "
    "final comparison, and says nothing of how another search would have gone. (team): features read other agents' "
    "observations, as the paper's listings do, which breaks decentralised execution. LR and LER design no "
    "features, so that both scopes are one run; the native row is measured on the same seeds as all others of its "
    "column."
)


def markdown(
    found: Sequence[Entry],
    missing: Sequence[Missing],
    made: str,
    settings: Sequence[str],
    rounds: Mapping[str, Sequence[Round]],
) -> str:
    return "\n".join(_markdown(found, missing, made, settings, rounds)) + "\n"


def _markdown(
    found: Sequence[Entry],
    missing: Sequence[Missing],
    made: str,
    settings: Sequence[str],
    rounds: Mapping[str, Sequence[Round]],
) -> Iterator[str]:
    columns = _columns(found)
    yield from ("# LERO, Table 2", "", LEGEND, "")
    yield f"| | {' | '.join(columns)} |"
    yield "|" + "---|" * (1 + len(columns))
    at = {(entry.row, entry.scope, entry.column): entry for entry in found}
    for row, scope in lines(found):
        cells = [_cell(at.get((row, scope, column))) for column in columns]
        yield f"| {label(row, scope)} | {' | '.join(cells)} |"
    yield ""
    designed = _designed(found)
    above, surely = sum(entry.above for entry in designed), sum(entry.surely_above for entry in designed)
    numbers = count(len(designed), "number")
    yield f"Above the paper's number: {above} of {numbers} with a designed signal, {surely} of them with the whole"
    yield "interval."
    for gap in missing:
        yield f"{gap.cell.words}: no number on fresh seeds ({gap.reason})."
    if rounds:
        yield from ("", "Best score of LERO's search after each round, on its own seeds (Fig. 4):", "")
        most = max(map(len, rounds.values()))
        yield f"| | {' | '.join(f'round {number + 1}' for number in range(most))} |"
        yield "|" + "---|" * (1 + most)
        for name, points in rounds.items():
            yield f"| {name} | {' | '.join(f'{point.score:.3f}' for point in points)} |"
    yield from ("", f"Made {made}.", "", *(f"- {line}" for line in settings))


def _designed(found: Sequence[Entry]) -> list[Entry]:
    return [entry for entry in found if entry.promoted is not None]


def _cell(entry: Entry | None) -> str:
    if entry is None:
        return ""
    low, high = entry.interval
    kept = " not promoted" if entry.promoted is False else ""
    return f"{entry.score:.3f} [{low:.3f}, {high:.3f}] {entry.mark} ({entry.paper:.3f}){kept}".replace("  ", " ")


def _columns(found: Sequence[Entry]) -> list[str]:
    return [column for column in COLUMNS if any(entry.column == column for entry in found)]


def grid(found: Sequence[Entry]) -> Grid:
    """For a terminal of 80 columns: score, interval, the paper's number, one below the other."""
    columns = _columns(found)
    table = Grid(box=None, padding=(0, 1), header_style="dim")
    table.add_column("")
    for column in columns:
        table.add_column(column.replace("-", "\n"), justify="right", no_wrap=True)
    at = {(entry.row, entry.scope, entry.column): entry for entry in found}
    for row, scope in lines(found):
        name = label(row, None) + (f"\n {scope}" if scope else "")
        table.add_row(name, *(_stacked(at.get((row, scope, column))) for column in columns), end_section=True)
    return table


def _stacked(entry: Entry | None) -> str:
    if entry is None:
        return ""
    low, high = entry.interval
    return f"{entry.score:.3f} {entry.mark or ' '}\n{low:.2f}..{high:.2f} \n({entry.paper:.3f})\n"


FIELDS = (
    "row", "column", "scope", "candidate", "score", "low", "high", "seeds", "scores", "final_coverage", "paper",
    "above", "surely_above", "promoted", "gain", "gain_low", "gain_high", "environment_steps", "seconds",
)  # fmt: skip


def table_csv(found: Sequence[Entry]) -> str:
    """A line for each number; `scores` has one for each seed, between spaces. No scope: no features are designed."""
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, lineterminator="\n")
    writer.writeheader()
    for entry in found:
        writer.writerow(plain(entry) | {"scores": " ".join(f"{score:.4f}" for score in entry.scores)})
    return text.getvalue()


def plain(entry: Entry) -> dict[str, object]:
    """For CSV and JSON."""
    gain = entry.gain or (None, None, None)
    return {
        "row": entry.row,
        "column": entry.column,
        "scope": entry.scope,
        "candidate": entry.candidate,
        "score": round(entry.score, 4),
        "low": round(entry.interval[0], 4),
        "high": round(entry.interval[1], 4),
        "seeds": len(entry.scores),
        "scores": [round(score, 4) for score in entry.scores],
        "final_coverage": None if entry.strict is None else round(entry.strict, 4),
        "paper": entry.paper,
        "above": entry.above,
        "surely_above": entry.surely_above,
        "promoted": entry.promoted,
        **{
            name: None if value is None else round(value, 4)
            for name, value in zip(("gain", "gain_low", "gain_high"), gain, strict=True)
        },
        "environment_steps": entry.steps,
        "seconds": entry.seconds,
    }
