"""Three checks that a search's own table cannot make: a harder task, what the learning of the search is worth, and
what it costs. Pure: finished runs in, rows out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from marlsmith.agents.settings import OFFLINE
from marlsmith.graph.telling.speech import count
from marlsmith.graph.telling.trace import Event
from marlsmith.marl.statistics import bootstrap_interval, iqm, paired_gain
from marlsmith.results.past import PastRun
from marlsmith.results.reproducing.plan import ARMS, MODEL, PLAIN, Cell

LEVEL = 0.05


@dataclass(frozen=True)
class Outcome:
    """One run of an arm."""

    task: str
    arm: str
    run: int
    score: float
    """Of what the search put forward, on fresh seeds; of the native task where it found nothing to put forward."""
    native: float | None
    """On the same seeds."""
    fresh: bool
    """Whether they are fresh: where nothing came to the last comparison they are those of the search."""
    promoted: bool
    trainings: int
    steps: int
    """Environment steps of all seeds."""
    seconds: float
    own_seconds: float
    """In which nothing was trained: proposing, checking, judging, starting up."""


def outcome(cell: Cell, run: PastRun) -> Outcome | None:
    """None where nothing was measured."""
    last = run.require_finished()
    standing = last["native"] if last["phase"] != "confirm" and not run.settings.method.adapts else last["best"]
    standing = standing or last["native"]
    if standing is None:
        return None
    native = last["native"]["score"] if last["native"] is not None and not run.settings.method.adapts else None
    trained = training_seconds(run.events)
    return Outcome(
        task=cell.column,
        arm=cell.row,
        run=cell.seed,
        score=standing["score"],
        native=native,
        fresh=last["phase"] == "confirm" or run.settings.method.adapts,
        promoted=last["promoted"],
        trainings=len(run.evaluations),
        steps=last["environment_steps"],
        seconds=last["seconds"],
        own_seconds=max(0.0, last["seconds"] - trained),
    )


def training_seconds(events: Sequence[Event]) -> float:
    """In which at least one training was under way, on the run's clock; what a kill cut off is none."""
    total, since, under_way = 0.0, 0.0, set[str]()
    for event in events:
        match event["event"]:
            case "run_started":
                under_way.clear()
            case "tool_call":
                since = since if under_way else event["seconds"]
                under_way.add(event["branch"])
            case "tool_result" if event["branch"] in under_way:
                under_way.remove(event["branch"])
                if not under_way:
                    total += event["seconds"] - since
                else:
                    total, since = total + event["seconds"] - since, event["seconds"]
    return total


def outcomes(runs: Mapping[Cell, PastRun]) -> list[Outcome]:
    return [found for cell, run in runs.items() if (found := outcome(cell, run)) is not None]


def markdown(found: Sequence[Outcome], made: str, settings: Sequence[str]) -> str:
    return "\n".join(_lines(found, made, settings)) + "\n"


def _lines(found: Sequence[Outcome], made: str, settings: Sequence[str]) -> Iterator[str]:
    tasks = list(dict.fromkeys(one.task for one in found))
    yield from (
        "# Three checks",
        "",
        "Scores are interquartile means over fresh seeds, and over runs; intervals 95%.",
        "",
    )
    if unconfirmed := sum(not one.fresh for one in found):
        yield f"{count(unconfirmed, 'run')} came to no comparison on fresh seeds: there the score is the native task's,"
        yield "under the seeds of the search."
        yield ""
    yield from _harder(found, tasks)
    yield from _learned(found, tasks)
    yield from _costs(found, tasks)
    yield from ("", f"Made {made}.", "", *(f"- {line}" for line in settings))


def _harder(found: Sequence[Outcome], tasks: Sequence[str]) -> Iterator[str]:
    yield from ("## Harder tasks, and what plain training reaches with as many environment steps", "")
    yield "| task | runs | native | plain, equal steps | search | gain over native, paired by run | promoted |"
    yield "|" + "---|" * 7
    for task in tasks:
        search, plain = _of(found, task, OFFLINE), _of(found, task, PLAIN)
        if search:
            natives = {one.run: one.native for one in search if one.native is not None}
            gain = _paired({one.run: one.score for one in search}, natives)
            kept = sum(one.promoted for one in search)
            cells = [task, f"{len(search)}", _mean(natives.values()), _mean(one.score for one in plain)]
            yield f"| {' | '.join([*cells, _mean(one.score for one in search), gain, str(kept)])} |"


def _learned(found: Sequence[Outcome], tasks: Sequence[str]) -> Iterator[str]:
    yield from ("", "## What the search learns from its trainings", "")
    yield "The same number of candidates, seeds and steps; `offline` evolves, `random` draws from the same vocabulary"
    yield "and learns nothing, `best-of-n` makes all candidates in one round. The same rules review all of them."
    yield ""
    yield "| task | arm | runs | score | 95% | offline above it, paired by run |"
    yield "|" + "---|" * 6
    for task in tasks:
        full = {one.run: one.score for one in _of(found, task, OFFLINE)}
        for arm, of_arm in _searches(found, task):
            scores = [one.score for one in of_arm]
            above = "" if arm == OFFLINE else _paired(full, {one.run: one.score for one in of_arm})
            yield f"| {task} | {arm} | {len(of_arm)} | {iqm(scores):.3f} | {_interval(scores)} | {above} |"


def _costs(found: Sequence[Outcome], tasks: Sequence[str]) -> Iterator[str]:
    yield from ("", "## What the search costs beside plain training", "")
    yield "`own work` is the time in which nothing was trained: proposing, checking, judging, starting up."
    yield ""
    yield "| task | arm | seconds | own work | of it | steps | plain training for as many, seconds | ratio |"
    yield "|" + "---|" * 8
    for task in tasks:
        plain = _of(found, task, PLAIN)
        pace = sum(one.seconds for one in plain) / sum(one.steps for one in plain) if plain else None
        for arm, of_arm in _searches(found, task):
            yield _cost(task, arm, of_arm, pace)


def _searches(found: Sequence[Outcome], task: str) -> Iterator[tuple[str, list[Outcome]]]:
    """All arms that search and were run."""
    for arm in (*ARMS, MODEL):
        if arm != PLAIN and (of_arm := _of(found, task, arm)):
            yield arm, of_arm


def _cost(task: str, arm: str, found: Sequence[Outcome], pace: float | None) -> str:
    seconds, own = _average(one.seconds for one in found), _average(one.own_seconds for one in found)
    steps = _average(one.steps for one in found)
    cells = [task, arm, f"{seconds:.0f}", f"{own:.1f}", f"{own / seconds:.1%}", f"{steps:,.0f}"]
    cells += ["", ""] if pace is None else [f"{pace * steps:.0f}", f"{seconds / (pace * steps):.2f}"]
    return f"| {' | '.join(cells)} |"


def _of(found: Sequence[Outcome], task: str, arm: str) -> list[Outcome]:
    return [one for one in found if (one.task, one.arm) == (task, arm)]


def _average(values: Iterator[float]) -> float:
    known = list(values)
    return sum(known) / len(known)


def _mean(values: Iterable[float]) -> str:
    known = list(values)
    return f"{iqm(known):.3f}" if known else ""


def _interval(scores: Sequence[float]) -> str:
    if len(scores) < 2:
        return ""
    low, high = bootstrap_interval(scores)
    return f"{low:.3f} to {high:.3f}"


def _paired(ours: Mapping[int, float], theirs: Mapping[int, float]) -> str:
    """Mean paired difference over the runs that both have."""
    shared = sorted(ours.keys() & theirs.keys())
    if len(shared) < 2:
        return ""
    gain = paired_gain([ours[run] for run in shared], [theirs[run] for run in shared], LEVEL)
    return f"{gain.mean:+.3f} [{gain.interval[0]:+.3f}, {gain.interval[1]:+.3f}]"
