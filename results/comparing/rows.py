"""What a comparison says of a run, or of several that differ in their seed alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from marlsmith.agents.settings import NOBODY
from marlsmith.graph.methods import RunSettings
from marlsmith.graph.naming import is_confirmation, is_plain
from marlsmith.graph.state import NATIVE_ID
from marlsmith.graph.telling.trace import Finished, Gain, Standing
from marlsmith.results.past import PastRun
from marlsmith.schemas import Evaluation

By = Literal["run", "method"]


@dataclass(frozen=True)
class Scores:
    """Interquartile mean, 95% stratified bootstrap interval, and what both are over: seeds, or runs."""

    score: float
    scores: tuple[float, ...]
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Point:
    """Where something stood after so many environment steps; `scores` are empty where only the mean is known."""

    steps: int
    score: float
    scores: tuple[float, ...] = ()


Curve = tuple[Point, ...]


@dataclass(frozen=True)
class Cost:
    """Of a run; of several, their mean. `main_steps` are those of an adapted main run, else None."""

    search_steps: float
    main_steps: float | None
    seconds: float
    tokens: float
    money: float | None

    @property
    def steps(self) -> float:
        return self.search_steps + (self.main_steps or 0.0)


@dataclass(frozen=True)
class Row:
    """`outcome` is what the run came to: its promoted signal's score, the native one's where nothing was promoted.

    `native` and `best` come from the run's own last comparison. Of `best` that may not be promoted, or (`fresh` is
    false) stand on the seeds of the search, which flatter it.
    """

    name: str
    runs: tuple[str, ...]
    settings: RunSettings
    over: Literal["seeds", "runs"]
    units: tuple[str, ...]
    outcome: Scores | None
    native: Scores | None
    best: Scores | None
    gain: Gain | None
    promoted: int
    fresh: bool
    cost: Cost
    native_curve: Curve
    outcome_curve: Curve
    search: tuple[Curve, ...]
    """By run: the score over all environment steps spent so far, whatever for."""

    @property
    def task(self) -> str:
        return self.settings.task

    @property
    def method(self) -> str:
        """With what must be seen beside a score: how it was trained, and a scope that needs more than an agent has."""
        scope, train = ", TEAM scope" if self.settings.method.scope == "team" else "", self.settings.train
        return f"{self.settings.method_name}, {train.algorithm}, {train.steps:,} steps{scope}"

    @property
    def players(self) -> str:
        return players(self.settings)

    @property
    def adapts(self) -> bool:
        return self.settings.method.adapts


def players(settings: RunSettings) -> str:
    """`offline` where all are, else who played what."""
    roles = settings.roles
    critic = roles.critic if settings.method.diagnose else NOBODY
    cast = {"generator": " and ".join(roles.generators), "critic": critic, "validator": roles.validator}
    names = set(cast.values())
    return names.pop() if len(names) == 1 else ", ".join(f"{role} {name}" for role, name in cast.items())


def row_of(past: PastRun, name: str) -> Row:
    """Raises UserError where the run has not ended."""
    event = past.require_finished()
    finished = Finished.model_validate({key: event[key] for key in event if key in Finished.model_fields})
    native, best = finished.native, finished.best
    outcome = best if finished.promoted else native
    adapts, main = past.settings.method.adapts, finished.main
    measured = best or native
    seeds = _seeds(past, measured)
    return Row(
        name=name,
        runs=(str(past.path),),
        settings=past.settings,
        over="seeds",
        units=tuple(f"seed_{seed}" for seed in seeds),
        outcome=_scores(outcome),
        native=_scores(native),
        best=_scores(best),
        gain=finished.gain,
        promoted=int(finished.promoted),
        fresh=finished.phase == "confirm",
        cost=Cost(
            search_steps=finished.environment_steps if main is None else main.search_steps,
            main_steps=None if main is None else main.main_steps,
            seconds=event["seconds"],
            tokens=event["tokens"],
            money=event["money"],
        ),
        native_curve=(_plain(past) if finished.promoted else laps(past)) if adapts else _curve(past, native),
        outcome_curve=laps(past) if adapts else _curve(past, outcome),
        search=(_spending(past),),
    )


def _scores(standing: Standing | None) -> Scores | None:
    return None if standing is None else Scores(standing.score, standing.scores, standing.interval)


def _branch(past: PastRun, standing: Standing | None) -> Evaluation | None:
    """Whose training the standing is: no two of one candidate have the same scores by chance, or it is no matter."""
    latest = reversed(list(past.evaluations.values()))
    found = (each for each in latest if standing is not None and each.scores == standing.scores)
    id = getattr(standing, "candidate", NATIVE_ID)
    return next((each for each in found if each.candidate == id), None)


def _seeds(past: PastRun, standing: Standing | None) -> Sequence[int]:
    """Members of an adapted main run, else those of the branch that the standing is of."""
    if past.settings.method.adapts:
        stages = past.of("stage_started")
        return tuple(stages[-1]["search_seeds"]) if stages else ()
    branch = _branch(past, standing)
    return () if branch is None else branch.seeds


# ---------------------------------------------------------------- curves


def _curve(past: PastRun, standing: Standing | None) -> Curve:
    branch = _branch(past, standing)
    return () if branch is None else tuple(Point(point.steps, point.score, point.scores) for point in branch.curve)


def laps(past: PastRun) -> Curve:
    """An adapted main run on fresh episodes, after each stage."""
    known = (event for event in past.of("advanced") if event["score"] is not None)
    return tuple(Point(event["steps"], event["score"], tuple(event["scores"])) for event in known)


def _plain(past: PastRun) -> Curve:
    """The same training without a signal: heats side by side."""
    return _merged([found for name, found in past.evaluations.items() if is_plain(name)])


def _merged(heats: Sequence[Evaluation]) -> Curve:
    """Members of all heats at the steps that all have points at."""
    at = [{point.steps: point for point in heat.curve} for heat in heats]
    shared = [steps for steps in at[0] if all(steps in each for each in at)] if at else []

    def point(steps: int) -> Point:
        found = [each[steps] for each in at]
        scores = tuple(score for each in found for score in each.scores) if all(each.scores for each in found) else ()
        weights = [len(heat.seeds) for heat in heats]
        return Point(steps, fmean((each.score for each in found), weights), scores)

    return tuple(map(point, shared))


def _spending(past: PastRun) -> Curve:
    """What a user would have had after so many environment steps of everything.

    Of a main run its laps, on fresh episodes; of a search from scratch the highest score so far, on the seeds that
    choose it: that one flatters.
    """
    spent, points, best = 0, list[Point](), float("-inf")
    for event in past.events:
        if event["event"] == "tool_result":
            found = past.evaluations[event["branch"]]
            spent += found.environment_steps
            searched = not is_confirmation(found.branch) and found.score is not None
            if not past.settings.method.adapts and searched and (found.score or 0.0) > best:
                best = found.score or 0.0
                points.append(Point(spent, best))
        elif event["event"] == "advanced" and event["score"] is not None:
            points.append(Point(spent, event["score"], tuple(event["scores"])))
    return tuple(points)


def named(paths: Iterable[PastRun]) -> Iterator[tuple[str, PastRun]]:
    """Runs under the names of their directories, whole paths where two have the same."""
    pasts = list(paths)
    names = [past.name for past in pasts]
    for past in pasts:
        yield (past.name if names.count(past.name) == 1 else str(past.path)), past
