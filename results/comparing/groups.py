"""Runs by task, and replications of one method taken together. Tasks are never compared with each other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from statistics import fmean
from typing import Any

from marlsmith.graph.methods import RunSettings
from marlsmith.graph.telling.trace import Gain
from marlsmith.marl.statistics import Improvement, bootstrap_interval, improvement_probability, iqm, paired_gain
from marlsmith.results.comparing.rows import By, Cost, Curve, Point, Row, Scores, named, row_of
from marlsmith.results.past import PastRun
from marlsmith.schemas import UserError, plain

OF_THE_MACHINE = {"seed", "workers", "branch_seconds", "unsafe_jail", "evaluation"}
"""Settings in which replications may differ; of `evaluation` the episodes' seed."""


@dataclass(frozen=True)
class Group:
    """Rows of one task, and how often each is above the first; None where there is nothing to compare."""

    task: str
    rows: tuple[Row, ...]
    improvements: tuple[Improvement | None, ...]


def groups(pasts: Sequence[PastRun], by: By) -> tuple[Group, ...]:
    """In the order in which tasks are first named. Raises UserError where a run has not ended, or is named twice."""
    _require_different(pasts)
    rows = [row_of(past, name) for name, past in named(pasts)]
    tasks = dict.fromkeys(row.task for row in rows)
    return tuple(_group(task, [row for row in rows if row.task == task], by) for task in tasks)


def _require_different(pasts: Sequence[PastRun]) -> None:
    paths = [past.path.resolve() for past in pasts]
    if twice := next((path for path in paths if paths.count(path) > 1), None):
        raise UserError(f"{twice} is named twice: name each run once")


def _group(task: str, rows: Sequence[Row], by: By) -> Group:
    found = tuple(_pooled(rows) if by == "method" else rows)
    return Group(task, found, tuple(_improvement(row, found[0]) if row is not found[0] else None for row in found))


def _improvement(row: Row, first: Row) -> Improvement | None:
    if row.outcome is None or first.outcome is None:
        return None
    return improvement_probability(row.outcome.scores, first.outcome.scores)


# ---------------------------------------------------------------- replications


def _pooled(rows: Sequence[Row]) -> list[Row]:
    keys = [_key(row.settings) for row in rows]
    together = [[row for row, other in zip(rows, keys, strict=True) if other == key] for key in dict.fromkeys(keys)]
    for replications in together:
        _require_replications(replications)
    names = [replications[0].method for replications in together]
    return [
        _pool(replications, name if names.count(name) == 1 else f"{name} ({replications[0].name})")
        for replications, name in zip(together, names, strict=True)
    ]


def _key(settings: RunSettings) -> str:
    said = settings.model_dump(mode="json", exclude=OF_THE_MACHINE)
    return json.dumps([said, settings.evaluation.episodes], sort_keys=True)


def _require_replications(rows: Sequence[Row]) -> None:
    """The same search twice is no second draw; where a model plays, it may well be another one."""
    if rows[0].settings.roles.models:
        return
    seeds = [row.settings.seed for row in rows]
    if (seed := next((seed for seed in seeds if seeds.count(seed) > 1), None)) is not None:
        first, second = (row.runs[0] for row in rows if row.settings.seed == seed)
        raise UserError(
            f"{first} and {second} are one search made twice (--seed {seed}): name one, or leave out --by method"
        )


def _pool(rows: Sequence[Row], name: str) -> Row:
    """One number for each run, however many seeds it has: seeds share their run's search, and runs share nothing."""
    first = rows[0]
    outcome, native = _over_runs([row.outcome for row in rows]), _over_runs([row.native for row in rows])
    return replace(
        first,
        name=name,
        runs=tuple(run for row in rows for run in row.runs),
        over="runs",
        units=tuple(f"{row.name}" for row in rows),
        outcome=outcome,
        native=native,
        best=_over_runs([row.best for row in rows]),
        gain=_gain_over_runs(outcome, native),
        promoted=sum(row.promoted for row in rows),
        fresh=all(row.fresh for row in rows),
        cost=_mean_cost([row.cost for row in rows]),
        native_curve=_curve_over_runs([row.native_curve for row in rows]),
        outcome_curve=_curve_over_runs([row.outcome_curve for row in rows]),
        search=tuple(curve for row in rows for curve in row.search),
    )


def _over_runs(each: Sequence[Scores | None]) -> Scores | None:
    """None where a run has none: the others would flatter the method."""
    scores = tuple(one.score for one in each if one is not None)
    if len(scores) < len(each):
        return None
    return Scores(iqm(scores), scores, bootstrap_interval(scores) if len(scores) > 1 else None)


def _gain_over_runs(outcome: Scores | None, native: Scores | None) -> Gain | None:
    if outcome is None or native is None:
        return None
    if len(outcome.scores) == 1:
        return Gain(mean=outcome.score - native.score, interval=None)
    paired = paired_gain(outcome.scores, native.scores, level=0.05)
    return Gain(mean=paired.mean, interval=paired.interval)


def _mean_cost(costs: Sequence[Cost]) -> Cost:
    main, money = [cost.main_steps for cost in costs], [cost.money for cost in costs]
    return Cost(
        search_steps=fmean(cost.search_steps for cost in costs),
        main_steps=None if None in main else fmean(filter(None, main)),
        seconds=fmean(cost.seconds for cost in costs),
        tokens=fmean(cost.tokens for cost in costs),
        money=None if None in money else fmean(each or 0.0 for each in money),
    )


def _curve_over_runs(curves: Sequence[Curve]) -> Curve:
    """At the steps that all have points at. A run stands there with the interquartile mean of its seeds, as at its
    end; a run that kept only their mean, with that.
    """
    at = [{point.steps: iqm(point.scores) if point.scores else point.score for point in curve} for curve in curves]
    shared = [steps for steps in at[0] if all(steps in each for each in at)]
    scores = {steps: tuple(each[steps] for each in at) for steps in shared}
    return tuple(Point(steps, iqm(found), found) for steps, found in scores.items())


# ---------------------------------------------------------------- for programs


PAIRING = "none: all pairs of seeds or runs, as rliable defines it, each side resampled by itself"


def record(found: Sequence[Group], by: By) -> dict[str, Any]:
    """The whole comparison as one object."""
    return {"by": by, "pairing": PAIRING, "tasks": [_of_group(group) for group in found]}


def _of_group(group: Group) -> dict[str, Any]:
    rows = zip(group.rows, group.improvements, strict=True)
    return {"task": group.task, "first": group.rows[0].name, "runs": [_of_row(*each) for each in rows]}


def _of_row(row: Row, improvement: Improvement | None) -> dict[str, Any]:
    method = row.settings.method
    return {
        "name": row.name,
        "runs": list(row.runs),
        "method": row.settings.method_name,
        "algorithm": row.settings.train.algorithm,
        "scope": method.scope,
        "players": row.players,
        "over": row.over,
        "units": list(row.units),
        "promoted": row.promoted,
        "fresh": row.fresh,
        "outcome": asdict(row.outcome) if row.outcome is not None else None,
        "native": asdict(row.native) if row.native is not None else None,
        "best": asdict(row.best) if row.best is not None else None,
        "gain": plain(row.gain) if row.gain is not None else None,
        "improvement": asdict(improvement) if improvement is not None else None,
        "cost": asdict(row.cost) | {"environment_steps": row.cost.steps},
        "curves": {"native": _points(row.native_curve), "outcome": _points(row.outcome_curve)},
        "search": [_points(curve) for curve in row.search],
    }


def _points(curve: Curve) -> list[dict[str, Any]]:
    return [asdict(point) for point in curve]
