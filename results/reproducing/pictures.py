"""A table and a search's course as pictures. Imports matplotlib: only who draws imports this."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

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
LEGEND_INCHES = 1.6
"""The width of its longest entry."""
LETTERS_AN_INCH = 22
"""Of what stands below, at its size."""


def draw_table(found: Sequence[Entry], made: str, file: Path) -> None:
    """Our numbers as dots with their intervals, the paper's as hollow diamonds, a panel for each column."""
    rows = [row for row in ROWS if any(entry.row == row for entry in found)]
    with mpl.rc_context(STYLE):
        figure, panels = _panels({entry.column for entry in found}, 2.9, 0.7 + 0.3 * len(rows))
        for column, panel in panels.items():
            _numbers(panel, [entry for entry in found if entry.column == column], rows)
        _name_axes(panels, "coverage")
        _legend(figure, panels)
        _save(figure, made, file)


def _panels(wanted: Collection[str], width: float, height: float) -> tuple[Figure, dict[str, Axes]]:
    """By column, algorithms side by side and tasks one below the other; a panel's size in inches."""
    columns = [column for column in COLUMNS if column in wanted]
    tasks = list(dict.fromkeys(column.partition("-")[2] for column in columns))
    algorithms = list(dict.fromkeys(column.partition("-")[0] for column in columns))
    size = (1.2 + width * len(algorithms), 0.9 + height * len(tasks))
    figure = Figure(figsize=size, layout="constrained")
    every = figure.subplots(len(tasks), len(algorithms), sharex=True, sharey=True, squeeze=False)
    panels: dict[str, Axes] = {}
    for row, task in enumerate(tasks):
        for place, algorithm in enumerate(algorithms):
            panel, column = every[row][place], f"{algorithm}-{task}"
            if column in columns:
                panel.set_title(f"{algorithm}, simple_{task}", fontsize=9)
                panels[column] = panel
            else:
                panel.set_axis_off()
    return figure, panels


def _name_axes(panels: Mapping[str, Axes], name: str) -> None:
    """Below the lowest panel of each algorithm, and numbers left of the first of each task: others may be missing."""
    lowest = {column.partition("-")[0]: panel for column, panel in panels.items()}
    first = {column.partition("-")[2]: panel for column, panel in list(panels.items())[::-1]}
    for panel in lowest.values():
        panel.set_xlabel(name, fontsize=9)
        panel.tick_params(labelbottom=True)
    for panel in first.values():
        panel.tick_params(labelleft=True)


def _legend(figure: Figure, panels: Mapping[str, Axes]) -> None:
    """Above all panels, in as many columns as there is room for."""
    handles = {
        name: handle
        for panel in panels.values()
        for handle, name in zip(*panel.get_legend_handles_labels(), strict=True)
    }
    columns = min(len(handles), int(figure.get_figwidth() / LEGEND_INCHES))
    figure.legend(
        handles.values(), handles.keys(), loc="outside upper center", ncols=columns, frameon=False, columnspacing=1.2
    )


def _numbers(panel: Axes, entries: Sequence[Entry], rows: Sequence[str]) -> None:
    panel.set_xlim(0, 1.03)
    panel.set_ylim(len(rows) - 0.5, -0.5)
    panel.set_yticks(range(len(rows)), [label(row, None) for row in rows])
    panel.grid(axis="x", color="#dddddd", linewidth=0.6)
    panel.set_axisbelow(True)
    for scope, (colour, form, name, shift) in LOOKS.items():
        shown = [entry for entry in entries if entry.scope == scope]
        if not shown:
            continue
        scores = [entry.score for entry in shown]
        low = [max(0.0, entry.score - entry.interval[0]) for entry in shown]
        high = [max(0.0, entry.interval[1] - entry.score) for entry in shown]
        heights = [rows.index(entry.row) + shift for entry in shown]
        panel.errorbar(
            scores, heights, xerr=[low, high], fmt=form, color=colour, markersize=4.5, capsize=2, linewidth=1.2,
            label=name,
        )  # fmt: skip
    papers = {entry.row: entry.paper for entry in entries}
    panel.plot(
        list(papers.values()),
        [rows.index(row) for row in papers],
        "D",
        markersize=6,
        markerfacecolor="none",
        markeredgecolor="#777777",
        label="the paper",
    )


def draw_evolution(rounds: Mapping[tuple[str, Scope | None], Sequence[Round]], made: str, file: Path) -> None:
    """The best score of LERO's search after each round, a panel for each column; by column and scope."""
    with mpl.rc_context(STYLE):
        figure, panels = _panels({column for column, _ in rounds}, 2.6, 2.3)
        for column, panel in panels.items():
            _courses(panel, {scope: points for (of, scope), points in rounds.items() if of == column})
            if column in FIGURE_4:
                panel.plot((1, 4), FIGURE_4[column], "D--", color="#777777", markerfacecolor="none", label="the paper")
        _name_axes(panels, "round")
        figure.supylabel("best coverage so far,\nseeds of the search", fontsize=9)
        _legend(figure, panels)
        _save(figure, made, file)


def _courses(panel: Axes, courses: Mapping[Scope | None, Sequence[Round]]) -> None:
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


def _save(figure: Figure, made: str, file: Path) -> None:
    """With who made it below, in a strip of its own."""
    width, height = figure.get_size_inches()
    lines = textwrap.wrap(made, int(width * LETTERS_AN_INCH))
    strip = (0.06 + 0.1 * len(lines)) / height
    engine = figure.get_layout_engine()
    assert isinstance(engine, ConstrainedLayoutEngine)
    engine.set(rect=(0, strip, 1, 1 - strip))
    figure.text(0.99, 0.004, "\n".join(lines), ha="right", va="bottom", fontsize=5.5, color="#777777")
    figure.savefig(file, metadata={"Date": None, "Creator": "marlsmith"} if file.suffix == ".svg" else None)
