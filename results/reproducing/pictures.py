"""A table and a search's course as pictures. Imports matplotlib: only who draws imports this."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from marlsmith.results.reproducing.paper import COLUMNS, FIGURE_4
from marlsmith.results.reproducing.plan import ROWS, label
from marlsmith.results.reproducing.table import Entry, Round
from marlsmith.schemas import Scope

LOOKS: dict[Scope | None, tuple[str, str, str, float]] = {
    None: ("#333333", "o", "no features designed", 0.0),
    "own": ("#0072b2", "o", "own scope", -0.17),
    "team": ("#d55e00", "s", "team scope", 0.17),
}
"""By scope: colour and form (so that colour alone tells nothing), name, and where in its row."""
STYLE: Any = {"svg.hashsalt": "marlsmith", "svg.fonttype": "path", "font.size": 9}


def draw_table(found: Sequence[Entry], made: str, file: Path) -> None:
    """Our numbers as dots with their intervals, the paper's as hollow diamonds, a panel for each column."""
    columns = [column for column in COLUMNS if any(entry.column == column for entry in found)]
    tasks = list(dict.fromkeys(column.partition("-")[2] for column in columns))
    algorithms = list(dict.fromkeys(column.partition("-")[0] for column in columns))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(1.2 + 2.9 * len(algorithms), 0.9 + 2.8 * len(tasks)), layout="constrained")
        panels = figure.subplots(len(tasks), len(algorithms), sharex=True, sharey=True, squeeze=False)
        for column in columns:
            algorithm, _, task = column.partition("-")
            panel = panels[tasks.index(task)][algorithms.index(algorithm)]
            _panel(panel, [entry for entry in found if entry.column == column], f"{algorithm}, simple_{task}")
        for line in panels:
            for panel in line:
                panel.set_axis_on() if panel.has_data() else panel.set_axis_off()
        handles = {
            name: handle for line in panels for panel in line for handle, name in zip(*_legend(panel), strict=True)
        }
        figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=len(handles), frameon=False)
        figure.supxlabel("coverage", fontsize=9)
        _caption(figure, made)
        _save(figure, file)


def _legend(panel: Any) -> tuple[list[Any], list[str]]:
    handles, names = panel.get_legend_handles_labels()
    return handles, names


def _panel(panel: Any, entries: Sequence[Entry], title: str) -> None:
    panel.set_title(title, fontsize=9)
    panel.set_xlim(0, 1.03)
    panel.set_ylim(len(ROWS) - 0.5, -0.5)
    panel.set_yticks(range(len(ROWS)), [label(row, None) for row in ROWS])
    panel.grid(axis="x", color="#dddddd", linewidth=0.6)
    panel.set_axisbelow(True)
    for scope, (colour, form, name, shift) in LOOKS.items():
        shown = [entry for entry in entries if entry.scope == scope]
        if not shown:
            continue
        scores = [entry.score for entry in shown]
        low = [max(0.0, entry.score - entry.interval[0]) for entry in shown]
        high = [max(0.0, entry.interval[1] - entry.score) for entry in shown]
        rows = [ROWS.index(entry.row) + shift for entry in shown]
        panel.errorbar(
            scores, rows, xerr=[low, high], fmt=form, color=colour, markersize=4.5, capsize=2, linewidth=1.2, label=name
        )
    papers = {entry.row: entry.paper for entry in entries}
    panel.plot(
        papers.values(),
        [ROWS.index(row) for row in papers],
        "D",
        markersize=6,
        markerfacecolor="none",
        markeredgecolor="#777777",
        label="the paper",
    )


def draw_evolution(rounds: Mapping[tuple[str, Scope | None], Sequence[Round]], made: str, file: Path) -> None:
    """The best score of LERO's search after each round, a panel for each column; by column and scope."""
    columns = [column for column in COLUMNS if any(key[0] == column for key in rounds)]
    tasks = list(dict.fromkeys(column.partition("-")[2] for column in columns))
    algorithms = list(dict.fromkeys(column.partition("-")[0] for column in columns))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(1.2 + 2.6 * len(algorithms), 1.0 + 2.3 * len(tasks)), layout="constrained")
        panels = figure.subplots(len(tasks), len(algorithms), sharex=True, sharey=True, squeeze=False)
        for column in columns:
            algorithm, _, task = column.partition("-")
            panel = panels[tasks.index(task)][algorithms.index(algorithm)]
            panel.set_title(f"{algorithm}, simple_{task}", fontsize=9)
            _courses(panel, {scope: rounds[key] for key in rounds if key[0] == column for scope in [key[1]]})
            if column in FIGURE_4:
                panel.plot((1, 4), FIGURE_4[column], "D--", color="#777777", markerfacecolor="none", label="the paper")
        for line in panels:
            for panel in line:
                panel.set_axis_on() if panel.has_data() else panel.set_axis_off()
        handles = {
            name: handle for line in panels for panel in line for handle, name in zip(*_legend(panel), strict=True)
        }
        figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=len(handles), frameon=False)
        figure.supxlabel("round", fontsize=9)
        figure.supylabel("best coverage so far, seeds of the search", fontsize=9)
        _caption(figure, made)
        _save(figure, file)


def _courses(panel: Any, courses: Mapping[Scope | None, Sequence[Round]]) -> None:
    panel.set_ylim(0, 1.03)
    panel.grid(color="#dddddd", linewidth=0.6)
    panel.set_axisbelow(True)
    panel.set_xticks(range(1, 1 + max(map(len, courses.values()))))
    for scope, points in courses.items():
        colour, form, name, _ = LOOKS[scope]
        numbers = [point.number for point in points]
        panel.plot(numbers, [point.score for point in points], f"{form}-", color=colour, markersize=4, label=name)
        low, high = [point.interval[0] for point in points], [point.interval[1] for point in points]
        panel.fill_between(numbers, low, high, color=colour, alpha=0.18, linewidth=0)


def _caption(figure: Figure, made: str) -> None:
    figure.text(0.995, 0.002, made, ha="right", va="bottom", fontsize=5.5, color="#777777")


def _save(figure: Figure, file: Path) -> None:
    figure.savefig(file, metadata={"Date": None, "Creator": "marlsmith"} if file.suffix == ".svg" else None)
