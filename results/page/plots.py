"""Pictures of a run as inline SVG: they carry no colours of their own but those of the page, light or dark.

matplotlib draws in marker colours that are then replaced by the page's custom properties (`--plot-native`,
`--plot-best`, `--plot-other`, `--plot-good`, `--plot-bad`; text and axes take `currentColor`). It is imported here
alone: only what makes pictures loads this file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from itertools import pairwise
from typing import Any, Literal
from xml.etree import ElementTree

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from marlsmith.graph.telling.speech import count
from marlsmith.marl.statistics import bootstrap_interval, iqm
from marlsmith.schemas import CurvePoint, Evaluation, printable

Style = Literal["native", "best", "other"]

WIDTH, HEIGHT = 420, 250
"""In the picture's own units, of which a narrow phone shows 340: letters of 12 are 10 pixels high there."""
LETTER, SMALL = 12.0, 11.0
MOST_CANDIDATES, MOST_TERMS = 5, 6
"""Of a picture of reward terms."""
NAME_LIMIT = 24

NATIVE, BEST, OTHER, GOOD, BAD, INK = "#01aa01", "#01aa02", "#01aa03", "#01aa04", "#01aa05", "#01aa06"
PAGE_COLOURS = {
    NATIVE: "var(--plot-native, #6b7280)",
    BEST: "var(--plot-best, #c2410c)",
    OTHER: "var(--plot-other, #a8adb5)",
    GOOD: "var(--plot-good, #15803d)",
    BAD: "var(--plot-bad, #b91c1c)",
    INK: "currentColor",
}
"""What a marker colour becomes in a page; what stands behind the comma is for pages that say nothing."""
_SETTINGS: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "marlsmith",
    "font.size": SMALL,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
}


@dataclass(frozen=True)
class Line:
    """One training's learning curve."""

    name: str
    points: Sequence[CurvePoint]
    style: Style


def curves(lines: Sequence[Line], score: str = "score") -> str:
    """Score by environment steps: native and best with their intervals over seeds, all others thin."""
    drawn = [line for line in lines if line.points]
    with matplotlib.rc_context(_SETTINGS):
        figure, axes = _axes()
        for line in sorted(drawn, key=lambda line: ("other", "native", "best").index(line.style)):
            _draw(axes, line)
        _label_ends(axes, [(line.name, _ends_at(line), line.style) for line in drawn if line.style != "other"])
        _steps_and_score(axes, score, min((_begins_at(line) for line in drawn), default=0))
        others = sum(line.style == "other" for line in drawn)
        if others:
            axes.set_title(f"thin: {count(others, 'other candidate')}", fontsize=SMALL, loc="left")
        return _inline(figure, "curves", "Learning curves", _told_of_curves(drawn, others, score))


def laps(
    advanced: Sequence[Mapping[str, Any]],
    promoted: Sequence[Mapping[str, Any]],
    plain: Mapping[str, Any] | None = None,
    score: str = "score",
) -> str:
    """An adapted main run, from its `advanced` and `promoted` events; `plain`: the `native` of the `finished` event.

    The plain training, where it is known, is a level line: of it only the end was measured.
    """
    whole = [lap for lap in advanced if lap["score"] is not None]
    by_stage = {event["stage"]: event["candidate"] for event in promoted}
    with matplotlib.rc_context(_SETTINGS):
        figure, axes = _axes()
        if plain is not None:
            low, high = plain["interval"]
            axes.axhline(plain["score"], color=NATIVE, linewidth=1.4, linestyle=(0, (4, 3)))
            axes.axhspan(low, high, color=NATIVE, alpha=0.15, linewidth=0)
        if whole:
            steps = [lap["steps"] for lap in whole]
            low_high = [lap["interval"] or (lap["score"], lap["score"]) for lap in whole]
            _band(axes, steps, low_high, BEST)
            scores = [lap["score"] for lap in whole]
            axes.plot(steps, scores, color=BEST, linewidth=2, marker="o", markersize=4, clip_on=False)
        before = {lap["stage"]: previous["steps"] for previous, lap in pairwise(advanced)}
        ends = [("main run", whole[-1]["score"], "best")] if whole else []
        if plain is not None:
            ends.append(("plain training", plain["score"], "native"))
        _label_ends(axes, ends)
        middle = sum(axes.get_ylim()) / 2
        low = {lap["steps"] for lap in whole if lap["score"] < middle}
        for lap in advanced:
            if lap["stage"] in by_stage:  # the signal counts from the stage's beginning
                begins = before.get(lap["stage"], lap["steps"])
                _mark(axes, begins, f"{by_stage[lap['stage']]} promoted", GOOD, begins in low)
            if lap["rolled_back_to"] is not None:
                _mark(axes, lap["steps"], "rolled back", BAD, lap["steps"] in low)
        _steps_and_score(axes, score)
        return _inline(figure, "laps", "The main run", _told_of_laps(advanced, by_stage, plain, score))


def terms(evaluations: Sequence[Evaluation]) -> str:
    """What share of the reward each term was, of the candidates that scored best, one bar for each term."""
    scored = [evaluation for evaluation in evaluations if evaluation.terms and evaluation.score is not None]
    rising = sorted(scored, key=lambda evaluation: evaluation.score or 0.0)
    best = {evaluation.candidate: evaluation for evaluation in rising}  # the best training of each
    shown = sorted(best.values(), key=lambda evaluation: -(evaluation.score or 0.0))[:MOST_CANDIDATES]
    rows: list[tuple[str, float | None]] = []
    for evaluation in shown:
        rows.append((_name(evaluation.candidate), None))
        by_share = sorted(evaluation.terms.items(), key=lambda item: -item[1].share)
        rows += [(_name(name), term.share) for name, term in by_share[:MOST_TERMS]]
        if len(by_share) > MOST_TERMS:
            rest = by_share[MOST_TERMS:]
            rows.append((count(len(rest), "more term"), sum(term.share for _, term in rest)))
    with matplotlib.rc_context(_SETTINGS):
        figure = _figure(16.0 * len(rows) + 12)
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.set_axis_off()
        axes.set_xlim(0, WIDTH)
        axes.set_ylim(len(rows) + 0.25, -0.5)
        for row, (name, share) in enumerate(rows):
            heading = share is None
            axes.text(
                0 if heading else 10, row, name, va="center", fontsize=LETTER if heading else SMALL,
                fontweight="bold" if heading else "normal",
            )  # fmt: skip
            if share is not None:
                axes.barh(row, 170 * share, left=195, height=0.6, color=BEST)
                axes.text(201 + 170 * share, row, f"{share:.0%}", va="center", fontsize=SMALL)
        return _inline(figure, "terms", "Reward terms", _told_of_terms(shown, len(best)))


# ---------------------------------------------------------------- drawing


def _figure(height: float) -> Figure:
    figure = Figure(figsize=(WIDTH / 72, height / 72), dpi=72, facecolor="none")
    FigureCanvasSVG(figure)
    return figure


def _axes() -> tuple[Figure, Axes]:
    figure = _figure(HEIGHT)
    axes = figure.add_axes((0.115, 0.165, 0.66, 0.735), facecolor="none")
    axes.margins(x=0, y=0.06)
    axes.tick_params(labelsize=SMALL)
    return figure, axes


_WEIGHT: dict[Style, tuple[str, float]] = {"native": (NATIVE, 2.0), "best": (BEST, 2.2), "other": (OTHER, 0.9)}


def _draw(axes: Axes, line: Line) -> None:
    colour, width = _WEIGHT[line.style]
    steps = [point.steps for point in line.points]
    axes.plot(steps, [_centre(point) for point in line.points], color=colour, linewidth=width, clip_on=False)
    if line.style != "other" and all(len(point.scores) > 1 for point in line.points):
        bands = [bootstrap_interval(point.scores) for point in line.points]
        _band(axes, steps, bands, colour)


def _band(axes: Axes, steps: Sequence[float], intervals: Sequence[Sequence[float]], colour: str) -> None:
    low, high = zip(*intervals, strict=True)
    axes.fill_between(steps, low, high, color=colour, alpha=0.2, linewidth=0)


def _centre(point: CurvePoint) -> float:
    """The interquartile mean over seeds; runs of earlier versions only know the mean."""
    return iqm(point.scores) if point.scores else point.score


def _begins_at(line: Line) -> int:
    """Points stand at the ends of equal stretches; the first stretch of a later stage does not begin at 0."""
    first, *later = (point.steps for point in line.points)
    return max(0, 2 * first - later[0]) if later else 0


def _ends_at(line: Line) -> float:
    return _centre(line.points[-1])


def _label_ends(axes: Axes, ends: Sequence[tuple[str, float, str]]) -> None:
    """Names right of the lines, apart by at least a letter's height."""
    _scale(axes)
    low, high = axes.get_ylim()
    apart = (high - low) * 1.35 * LETTER / (0.735 * HEIGHT)
    at = low - apart
    for name, value, style in sorted(ends, key=lambda end: end[1]):
        at = max(at + apart, value)
        place = (1.025, at)
        colour = {"native": NATIVE, "best": BEST}[style]
        axes.annotate(
            _name(name, 14), place, xycoords=("axes fraction", "data"), va="center", fontsize=LETTER, color=colour,
            annotation_clip=False,
        )  # fmt: skip
    axes.set_ylim(low, high)


def _scale(axes: Axes) -> None:
    """Where nothing ever changed a scale of millionths would say otherwise; where nothing is below 0, no scale is."""
    low, high = axes.dataLim.intervaly
    if 0 <= high - low < 1e-6:
        room = (0.0, 1.0) if low >= 0 and high <= 1 else (low - 0.5, high + 0.5)
        axes.set_ylim(*room)
    if low >= 0:
        axes.set_ylim(bottom=max(0.0, axes.get_ylim()[0]))


def _mark(axes: Axes, steps: float, name: str, colour: str, above: bool) -> None:
    """A line with its name, which stands `above` where the curve is low there; beside the axis there is no line."""
    if steps > 0:
        axes.axvline(steps, color=colour, linewidth=1.2, linestyle=(0, (2, 2)))
    axes.annotate(
        _name(name, 30), (steps, 0.97 if above else 0.03), xycoords=axes.get_xaxis_transform(), xytext=(4, 0),
        textcoords="offset points", rotation=90, va="top" if above else "bottom", fontsize=SMALL, color=colour,
    )  # fmt: skip


def _steps_and_score(axes: Axes, score: str, begin: int = 0) -> None:
    axes.set_xlim(left=begin)
    axes.set_xlabel("environment steps of each seed", fontsize=SMALL)
    axes.set_ylabel(_name(score), fontsize=SMALL)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    _make_room(axes)


def _make_room(axes: Axes) -> None:
    """Left of the axis, for its numbers and its name, however many digits they have."""
    box = axes.yaxis.get_tightbbox()
    if box is not None and (lacking := 2 - box.x0) > 0:
        place = axes.get_position()
        axes.set_position((place.x0 + lacking / WIDTH, place.y0, place.width - lacking / WIDTH, place.height))


def _short(steps: float) -> str:
    if steps >= 1e6:
        return f"{steps / 1e6:g}M"
    return f"{steps / 1e3:g}k" if steps >= 1e3 else f"{steps:g}"


def _name(text: str, most: int = NAME_LIMIT) -> str:
    return printable(text, most)


# ---------------------------------------------------------------- words


def _told_of_curves(lines: Sequence[Line], others: int, score: str) -> str:
    if not lines:
        return "No training has a learning curve."
    told = [
        f"{line.name} goes from {_centre(line.points[0]):.3g} after {line.points[0].steps:,} steps"
        f" to {_ends_at(line):.3g} after {line.points[-1].steps:,}"
        for line in lines
        if line.style != "other"
    ]
    if others:
        ends = [_ends_at(line) for line in lines if line.style == "other"]
        told.append(f"{count(others, 'other candidate')} end between {min(ends):.3g} and {max(ends):.3g}")
    return f"{score} by environment steps: {'; '.join(told)}."


def _told_of_laps(
    advanced: Sequence[Mapping[str, Any]], promoted: Mapping[int, str], plain: Mapping[str, Any] | None, score: str
) -> str:
    told = []
    for lap in advanced:
        stood = "unknown" if lap["score"] is None else f"{lap['score']:.3g}"
        news = f", with {promoted[lap['stage']]} promoted" if lap["stage"] in promoted else ""
        back = ", rolled back" if lap["rolled_back_to"] is not None else ""
        told.append(f"{stood} at {lap['steps']:,} steps{news}{back}")
    if plain is not None:
        told.append(f"the plain training ends at {plain['score']:.3g}")
    return f"{score} of the main run after each stage: {'; '.join(told)}."


def _told_of_terms(shown: Sequence[Evaluation], all: int) -> str:
    told = [
        f"{evaluation.candidate}: "
        + ", ".join(f"{name} {term.share:.0%}" for name, term in list(evaluation.terms.items())[:MOST_TERMS])
        for evaluation in shown
    ]
    left = f" {count(all - len(shown), 'further candidate')} not shown." if all > len(shown) else ""
    return (
        f"Share of each reward term in the last tenth of a training. {'; '.join(told) or 'Nothing was trained'}.{left}"
    )


# ---------------------------------------------------------------- SVG for a page

_FAMILY = re.compile(r"font-family: [^;]*; ?")


def _inline(figure: Figure, kind: str, title: str, description: str) -> str:
    """The picture as an element of a page: its own ids, the page's font and colours, and words for it."""
    drawn = BytesIO()
    figure.savefig(drawn, format="svg", metadata={"Date": None}, transparent=True)
    root = ElementTree.fromstring(drawn.getvalue())
    prefix = f"{kind}-{sha256(drawn.getvalue() + description.encode()).hexdigest()[:8]}-"
    for parent in list(root.iter()):
        for child in list(parent):
            if _plain(child.tag) in ("metadata", "style"):
                parent.remove(child)
    for element in root.iter():
        element.tag = _plain(element.tag)
        element.attrib = {_plain(name): _adapted(_plain(name), value, prefix) for name, value in element.items()}
    box = root.attrib["viewBox"]
    root.attrib = {
        "xmlns": "http://www.w3.org/2000/svg",
        "viewBox": box,
        "role": "img",
        "class": f"plot plot-{kind}",
        "aria-labelledby": f"{prefix}title {prefix}desc",
        "style": "width: 100%; max-width: 600px; height: auto; stroke-linejoin: round; font-family: inherit",
    }
    for place, (tag, text) in enumerate((("title", title), ("desc", description))):
        element = ElementTree.Element(tag, {"id": prefix + tag})
        element.text = printable(text, 2000)
        root.insert(place, element)
    return ElementTree.tostring(root, encoding="unicode")


def _plain(name: str) -> str:
    return name.rpartition("}")[2]


def _adapted(name: str, value: str, prefix: str) -> str:
    if name == "id":
        return prefix + value
    if name == "href":
        return f"#{prefix}{value.removeprefix('#')}"
    if name == "clip-path":
        return value.replace("url(#", f"url(#{prefix}")
    if name != "style":
        return value
    value = _FAMILY.sub("", value)  # the page's own is inherited
    for marker, colour in PAGE_COLOURS.items():
        value = value.replace(marker, colour)
    return value
