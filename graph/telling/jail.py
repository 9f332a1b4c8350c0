"""The jail's report for people and for the record: what was tried, what was refused, what is open."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, get_args

from rich.table import Table
from rich.text import Text

from marlsmith.schemas import REQUIRED_GROUPS, JailReport, Probe, ProbeGroup, printable

WORDS = 200
"""Characters of a probe's answer: a worker wrote it."""


def summary(report: JailReport) -> str:
    """`47 acts tried, all refused`, or what is open: one line for the trace."""
    whose = "for a GPU: " if report.profile == "accelerator" else ""
    return whose + (_tally(report) if report.sound else f"UNSAFE, {_gaps(report)}")


def _tally(report: JailReport) -> str:
    tried, came_through = len(report.probes), len(report.open)
    refused = f"{tried - came_through} refused; open: {_groups(report.open)}" if came_through else "all refused"
    return f"{tried} acts tried, {refused}{' (--unsafe-jail given)' if report.unsafe else ''}"


def standing(unsafe: bool, sound: bool) -> str | None:
    """What a run's result bears: that somebody insisted, and whether it mattered."""
    if not sound:
        why = " (--unsafe-jail)" if unsafe else ", or nobody wrote down that it was sound"
        return f"UNSAFE: candidate code ran without a sound jail{why}"
    return "--unsafe-jail was given; the jail was sound all the same" if unsafe else None


def style(report: JailReport) -> str:
    if not report.sound:
        return "bold red"
    return "yellow" if report.open else ""


def verdict(report: JailReport) -> str:
    """The last line of `marlsmith doctor`."""
    jail, deed = "The jail", "checked or trained here"
    if report.profile == "accelerator":
        jail, deed = "The jail for a GPU", "trained on a GPU here"
    if report.sound:
        return f"{jail} is sound: {_tally(report)}."
    return f"{jail} is NOT sound ({_gaps(report)}): no candidate code is {deed} without --unsafe-jail."


def warning(report: JailReport) -> str | None:
    """What a command says that went on although the jail is not sound."""
    return None if report.sound else f"--unsafe-jail: candidate code runs without a sound jail ({_gaps(report)})"


def _gaps(report: JailReport) -> str:
    if not report.probes:
        return f"nothing could be tried: {'; '.join(report.missing) or 'no worker answered'}"
    untried = [group for group in REQUIRED_GROUPS if group not in {probe.group for probe in report.probes}]
    said = [f"open: {_groups(report.open)}"] if report.open else []
    said += [f"not tried: {', '.join(untried)}"] if untried else []
    return "; ".join(said)


def _groups(probes: Iterable[Probe]) -> str:
    return ", ".join(group for group, _ in _by_group(probes))


def _by_group(probes: Iterable[Probe]) -> Iterator[tuple[ProbeGroup, list[Probe]]]:
    probes = list(probes)
    for group in get_args(ProbeGroup):
        if members := [probe for probe in probes if probe.group == group]:
            yield group, members


def _act(probe: Probe) -> str:
    return printable(probe.act, WORDS)


def _answer(probe: Probe) -> str:
    return printable(probe.answer, WORDS)


def record(report: JailReport) -> dict[str, Any]:
    """For run.toml: the acts by group, so that a person can read them there."""
    return {
        "sound": report.sound,
        "unsafe": report.unsafe,
        "system": report.system,
        "profile": report.profile,
        "layers": list(report.layers),
        "missing": list(report.missing),
        "refused": _lists(probe for probe in report.probes if probe.refused),
        "open": _lists(report.open),
    }


def _lists(probes: Iterable[Probe]) -> dict[str, list[str]]:
    return {group: [f"{_act(probe)}: {_answer(probe)}" for probe in members] for group, members in _by_group(probes)}


def table(report: JailReport) -> Table:
    """Every act that was tried, by group."""
    grid = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for name in ("group", "act", "", "answer"):
        grid.add_column(name)
    for group, members in _by_group(report.probes):
        for number, probe in enumerate(members):
            said = Text("refused", "green") if probe.refused else Text("OPEN", "bold red")
            needed = " (required)" if group in REQUIRED_GROUPS else ""
            grid.add_row(
                Text(f"{group}{needed}" if number == 0 else ""), Text(_act(probe)), said, Text(_answer(probe), "dim")
            )
    return grid
