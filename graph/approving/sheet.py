"""The question to a person before a promotion, with all that it should be answered from."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from marlsmith.graph.approving.case import ApprovalCase, Comparison, Cost
from marlsmith.graph.approving.text_plot import Plot, Series
from marlsmith.graph.naming import edit_of
from marlsmith.graph.telling.trace import Event
from marlsmith.schemas import CurvePoint, Diagnosis, Verdict, printable, visible

WORDS = 600
"""Characters of a role's words; the run directory has them whole."""
MOST_LINES, LONGEST_LINE = 60, 160
"""Of the difference in code."""
SEEDS_A_ROW = 8
MOST_SEEDS = 3 * SEEDS_A_ROW
CANDIDATE, CONTROL = "green", "yellow"


def approval_sheet(event: Event, run: str, edits: Mapping[str, str]) -> RenderableType:
    """Of an `approval` event that asks; `edits` are what was tried in the candidate's place, and what came of it.

    Whatever roles and programs wrote is text here, and never markup.
    """
    case = ApprovalCase.model_validate({name: event[name] for name in ApprovalCase.model_fields if name in event})
    candidate, verdict = str(event["candidate"]), Verdict.model_validate(event["verdict"])
    author = "the person says" if edit_of(candidate) else "the generator says"
    file = f"{run}/candidates/{candidate}.py"
    parts = [
        question(event),
        *_section("tried in its place", [Text(printable(f"{id}: {said}", WORDS)) for id, said in edits.items()]),
        *_why(case.diagnosis, case.rationale, author),
        *_section("the signal, against the one it replaces", _difference(case.before, case.code, file)),
        *_section("the branches", _curves(case)),
        *_section("seed by seed", _pairs(case)),
        *_section("the gate", [Text(printable(verdict.reason, WORDS))]),
        *_section("cost of this stage so far", [Text(_cost(case.cost))] if case.cost is not None else []),
        *_section("answer", _answers(run, event.get("waiting"))),
    ]
    return Panel(Group(*parts), title="approval", title_align="left", border_style="yellow")


def _section(title: str, lines: Iterable[RenderableType]) -> Iterable[RenderableType]:
    """Nothing where there is nothing to say."""
    found = list(lines)
    if found:
        yield Text()
        yield Text(title, "bold")
        yield from (Padding(line, (0, 0, 0, 2)) for line in found)


def question(event: Event) -> Text:
    verdict = Verdict.model_validate(event["verdict"])
    gain = f" It gained {_number(verdict.gain)}{_interval(verdict.interval)}." if verdict.gain is not None else ""
    asked = f"Promote {event['candidate']} into the main run, in stage {event['stage']}?"
    return Text(asked, "bold yellow").append(gain, "not bold")


def _why(diagnosis: Diagnosis | None, rationale: str, author: str) -> Iterable[RenderableType]:
    if diagnosis is not None:
        lines = [Text(printable(diagnosis.summary, WORDS))]
        for finding in diagnosis.findings:
            cited = ", ".join(f"{citation.key} = {citation.value:.4g}" for citation in finding.evidence)
            said = f"{finding.failure.replace('_', ' ')} ({cited}): {finding.advice}"
            lines.append(Text(printable(said, WORDS), "dim"))
        yield from _section("the critic found", lines)
    if rationale:
        yield from _section(author, [Text(printable(rationale, WORDS))])


# ---------------------------------------------------------------- code


def _difference(before: str, code: str, file: str) -> Iterable[RenderableType]:
    """A unified diff, cut to what is still read; where nothing stood before, the code itself."""
    old, new = ([_shown(line) for line in text.splitlines()] for text in (before, code))
    lines = list(difflib.unified_diff(old, new, lineterm=""))[2:] if old else [f"+{line}" for line in new]
    for line in lines[:MOST_LINES]:
        style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "dim")
        yield Text(line, style, overflow="fold")
    if len(lines) > MOST_LINES:
        yield Text(f"... {len(lines) - MOST_LINES} more lines", "dim")
    if not lines:
        yield Text("the code is the same", "dim")
    yield Text(f"whole: {file}", "dim", overflow="fold")


def _shown(line: str) -> str:
    """What a person would not see on the screen, such as a character that turns the text round, is written out."""
    seen = visible(line.expandtabs(4))
    return seen if len(seen) <= LONGEST_LINE else seen[: LONGEST_LINE - 1] + "…"


# ---------------------------------------------------------------- numbers


def _curves(case: ApprovalCase) -> Iterable[RenderableType]:
    candidate, control = case.curves.get("candidate", ()), case.curves.get("control", ())
    if not candidate and not control:
        return
    which = "the search's branches" if case.confirm is None else "the confirmation"
    yield Text(f"{which}: score in greedy play on a few fixed episodes, which decide nothing; mean over seeds", "dim")
    yield Plot(
        (
            Series("candidate", "●", CANDIDATE, _scores(candidate)),
            Series("control", "○", CONTROL, _scores(control), joined=False),
        ),
        "environment steps of each seed",
    )
    table = Table(box=None, header_style="dim", padding=(0, 3, 0, 0))
    for title in ("first to last point", "score", "native return", "shaped return"):
        table.add_column(title)
    for name, style, curve in (("candidate", CANDIDATE, candidate), ("control", CONTROL, control)):
        if curve:
            first, last = curve[0], curve[-1]
            ends = ((first.score, last.score), (first.native_return, last.native_return))
            shaped = (first.shaped_return, last.shaped_return)
            table.add_row(Text(name, style), *(f"{_level(start)} to {_level(end)}" for start, end in (*ends, shaped)))
    yield table


def _scores(curve: Sequence[CurvePoint]) -> tuple[tuple[float, float], ...]:
    return tuple((float(point.steps), point.score) for point in curve)


def _pairs(case: ApprovalCase) -> Iterable[RenderableType]:
    for name, comparison in (("search", case.search), ("confirmation, fresh", case.confirm)):
        if comparison is not None:
            yield from _paired(name, comparison)


def _paired(name: str, comparison: Comparison) -> Iterable[RenderableType]:
    pairs = list(zip(comparison.scores, comparison.control_scores, strict=False))
    if not pairs:
        return
    better = sum(score > control for score, control in pairs)
    gain = f"gain {_number(comparison.gain)}{_interval(comparison.interval)}, " if comparison.gain is not None else ""
    yield Text(f"{name}: {gain}better in {better} of {len(pairs)} seeds")
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column()
    for _ in pairs[:SEEDS_A_ROW]:
        table.add_column(justify="right")
    for start in range(0, min(len(pairs), MOST_SEEDS), SEEDS_A_ROW):
        chunk = pairs[start : start + SEEDS_A_ROW]
        table.add_row(Text("candidate", CANDIDATE), *(_level(score) for score, _ in chunk))
        table.add_row(Text("control", CONTROL), *(_level(control) for _, control in chunk))
        table.add_row(Text("gain", "dim"), *(Text(_number(score - control), "dim") for score, control in chunk))
    yield table
    if len(pairs) > MOST_SEEDS:
        yield Text(f"and {len(pairs) - MOST_SEEDS} more seeds", "dim")


def _cost(cost: Cost) -> str:
    money = f", money {cost.money:.4g}" if cost.money is not None else ""
    return f"{cost.environment_steps:,} environment steps, {cost.seconds:,.0f} s, {cost.tokens:,} tokens{money}"


def _answers(run: str, waiting: str | None) -> Iterable[RenderableType]:
    table = Table.grid(padding=(0, 3))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for effect, option in (
        ("promote it", "--yes"),
        ("keep what there is" if waiting is None else f"ask about {waiting} again", "--no"),
        ("try another signal", "--edit FILE"),
    ):
        table.add_row(effect, Text(f"marlsmith approve {run} {option}"))
    yield table


def _level(value: float) -> str:
    return f"{value:.3g}"


def _number(value: float) -> str:
    return f"{value:+.3g}"


def _interval(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f", 95% interval {_number(interval[0])} to {_number(interval[1])}"
