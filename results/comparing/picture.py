"""A comparison as a picture: a row of small multiples for each task, for screens and for print."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, MaxNLocator

from marlsmith.marl.statistics import bootstrap_interval, iqm
from marlsmith.results.comparing.files import writing
from marlsmith.results.comparing.groups import Group
from marlsmith.results.comparing.rows import Curve, Row
from marlsmith.schemas import printable

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's, told apart by most eyes; yellow is left out, for it is too light on paper."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
PANEL, LEGEND, LINE = (2.7, 2.3), 1.8, 0.13
"""Inches."""
LETTERS = 19
"""Of a caption, to an inch."""
NAME = 34
STYLE: dict[Any, Any] = {
    "text.parse_math": False,  # a directory may be called anything
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e3e3e3",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "marlsmith",  # the same runs give the same file
    "pdf.fonttype": 42,
}
CAPTION = (
    "Scores are interquartile means with 95% bootstrap intervals over {over}. Learning: what came of the run as it was "
    "trained, on a few fixed episodes (an adapted main run: after each stage, on fresh ones); dashed, the native task; "
    "what the search took is not in it. Search: all environment steps of the run. Dotted is the best score so far, on "
    "the seeds that choose it, which flatters; solid an adapted main run on fresh episodes. Marks with bars, here and "
    "to the right: what came of the run, on fresh seeds or episodes."
)


@dataclass(frozen=True)
class Look:
    row: Row
    colour: str
    marker: str

    @property
    def label(self) -> str:
        kept = "" if self.row.promoted else " (native kept)"
        return f"{printable(self.row.name, NAME)}{kept}"


@dataclass(frozen=True)
class Panel:
    title: str
    label: str
    paint: Callable[[Axes, Look], None]


def draw(groups: Sequence[Group], file: Path) -> None:
    """Raises UserError where it cannot be written."""
    with mpl.rc_context(STYLE):
        figure = picture(groups)
        with writing(file):
            figure.savefig(file, dpi=200, metadata=_undated(file))


def _undated(file: Path) -> dict[str, None]:
    """A date would make two files of the same runs differ."""
    return {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(file.suffix.lower(), {})


def picture(groups: Sequence[Group]) -> Figure:
    panels = _panels([row for group in groups for row in group.rows])
    width = PANEL[0] * len(panels) + LEGEND
    caption = fill(_caption(groups), int(width * LETTERS))
    figure = Figure(figsize=(width, PANEL[1] * len(groups) + LINE * (1 + caption.count("\n"))), layout="constrained")
    FigureCanvasAgg(figure)
    rooms = figure.subplots(len(groups), len(panels), squeeze=False, sharey="row")
    for group, axes in zip(groups, rooms, strict=True):
        looks = list(_looks(group.rows))
        for panel, ax in zip(panels, axes, strict=True):
            for look in looks:
                panel.paint(ax, look)
            _finish(ax, panel)
        if all(0 <= score <= 1 for score in _scores(group.rows)):
            axes[0].set_ylim(-0.04, 1.05)
        axes[0].set_ylabel(f"{printable(group.task, NAME)}\nscore")
        axes[-1].legend(handles=[_handle(look) for look in looks], loc="upper left", bbox_to_anchor=(1.02, 1.0))
    figure.supxlabel(caption, x=0.01, ha="left", fontsize=7, color="#444444")
    return figure


def _scores(rows: Sequence[Row]) -> Iterator[float]:
    for row in rows:
        curves = (row.native_curve, row.outcome_curve, *row.search)
        yield from (point.score for curve in curves for point in curve)
        yield from (row.outcome.scores if row.outcome is not None else ())


def _finish(ax: Axes, panel: Panel) -> None:
    if not ax.has_data():  # nobody in this row was paid
        ax.set_axis_off()
        return
    ax.set_title(panel.title, loc="left", fontweight="bold")
    ax.set_xlabel(panel.label)
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.set_xlim(left=0)


def _caption(groups: Sequence[Group]) -> str:
    over = "runs" if any(row.over == "runs" for group in groups for row in group.rows) else "the seeds of a run"
    return CAPTION.format(over=over)


def _looks(rows: Sequence[Row]) -> Iterator[Look]:
    for row, colour, marker in zip(rows, cycle(COLOURS), cycle(MARKERS), strict=False):
        yield Look(row, colour, marker)


def _handle(look: Look) -> Line2D:
    return Line2D([], [], color=look.colour, marker=look.marker, markersize=4, label=look.label)


def _panels(rows: Sequence[Row]) -> list[Panel]:
    """Tokens and money only where there are any."""
    panels = [
        Panel("Learning", "environment steps of a seed", _learning),
        Panel("Search", "environment steps of the whole run", _search),
        Panel("Time", "seconds of the run", lambda ax, look: _end(ax, look, look.row.cost.seconds)),
    ]
    if any(row.cost.tokens for row in rows):
        panels.append(Panel("Tokens", "tokens of the run", lambda ax, look: _end(ax, look, look.row.cost.tokens)))
    if any(row.cost.money for row in rows):
        panels.append(Panel("Money", "money of the run", lambda ax, look: _end(ax, look, look.row.cost.money)))
    return panels


# ---------------------------------------------------------------- what is painted


def _learning(ax: Axes, look: Look) -> None:
    row = look.row
    if row.native_curve != row.outcome_curve:
        _line(ax, look, row.native_curve, dashed=True)
    _line(ax, look, row.outcome_curve)


def _line(ax: Axes, look: Look, curve: Curve, dashed: bool = False) -> None:
    """With a band where the points know their seeds."""
    if not curve:
        return
    steps = [point.steps for point in curve]
    known = all(point.scores for point in curve)
    scores = [iqm(point.scores) if known else point.score for point in curve]
    marker = None if dashed else look.marker
    style = "--" if dashed else "-"
    ax.plot(steps, scores, style, color=look.colour, marker=marker, markersize=3, linewidth=1.1 if dashed else 1.5)
    if known and not dashed and any(len(point.scores) > 1 for point in curve):
        low, high = zip(*(bootstrap_interval(point.scores) for point in curve), strict=True)
        ax.fill_between(steps, low, high, color=look.colour, alpha=0.16, linewidth=0)


def _search(ax: Axes, look: Look) -> None:
    """Level until the next point: what was there is what one would have had."""
    row = look.row
    for curve in row.search:
        steps, scores = [point.steps for point in curve], [point.score for point in curve]
        if len(row.search) == 1 and curve:
            steps, scores = [*steps, round(row.cost.steps)], [*scores, scores[-1]]
        style, thin = "-" if row.adapts else ":", 1.0 if len(row.search) > 1 else 1.5
        ax.plot(steps, scores, style, color=look.colour, drawstyle="steps-post", linewidth=thin)
    _end(ax, look, row.cost.steps)


def _end(ax: Axes, look: Look, spent: float | None) -> None:
    """What came of it, against what it took."""
    outcome = look.row.outcome
    if outcome is None or not spent:
        return
    low, high = outcome.interval or (outcome.score, outcome.score)
    bars = [[max(0.0, outcome.score - low)], [max(0.0, high - outcome.score)]]
    ax.errorbar(
        [spent],
        [outcome.score],
        yerr=bars,
        color=look.colour,
        marker=look.marker,
        markersize=5,
        capsize=2.5,
        linewidth=1.2,
    )
