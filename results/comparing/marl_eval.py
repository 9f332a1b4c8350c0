"""A comparison in the JSON of marl-eval (github.com/instadeepai/marl-eval), the field's own statistics and plots.

    environment -> task -> algorithm -> run -> step_1 .. step_k {step_count, score: []}, absolute_metrics {score: []}

Its rules: all algorithms and tasks of an environment have the same number of runs, and all runs the same number of
steps and the same metrics. Its algorithms are our rows and the native task; its runs are our seeds or, of rows that
stand for several runs, those. Names of environments and tasks are in lower case, as its functions look them up.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from marlsmith.results.comparing.files import writing
from marlsmith.results.comparing.groups import Group
from marlsmith.results.comparing.rows import Curve, Row, Scores
from marlsmith.schemas import UserError

NATIVE = "native"
METRIC = "score"
Runs = dict[str, dict[str, dict[str, Any]]]


def write_marl_eval(found: Sequence[Group], file: Path) -> None:
    """Raises UserError where the runs do not fit together, or it cannot be written."""
    data = marl_eval(found)
    with writing(file):
        file.write_text(json.dumps(data, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def marl_eval(found: Sequence[Group]) -> dict[str, dict[str, dict[str, Runs]]]:
    data: dict[str, dict[str, dict[str, Runs]]] = {}
    for group in found:
        environment, task = _split(group.task)
        data.setdefault(environment, {})[task] = _algorithms(group)
    for environment, tasks in data.items():
        _require_alike(environment, tasks, found[0].rows[0].over)
    return data


def _split(task: str) -> tuple[str, str]:
    """`mpe/simple_spread` is a task of `mpe`; `pettingzoo:module:factory` one of `pettingzoo`."""
    environment, _, name = task.lower().replace(":", "/", 1).partition("/")
    return (environment, name) if name else ("task", environment)


def _algorithms(group: Group) -> dict[str, Runs]:
    """The native task once, by the first row that has it over as many steps as the first row itself."""
    found = {row.name: _runs(row, row.outcome, row.outcome_curve) for row in group.rows}
    first = group.rows[0]
    if not first.adapts and first.promoted and first.native is not None:
        found = {NATIVE: _runs(first, first.native, first.native_curve)} | found
    return found


def _runs(row: Row, scores: Scores | None, curve: Curve) -> Runs:
    if scores is None:
        raise UserError(f"{row.name} came to no score, and marl-eval needs one: leave it out")
    if not curve or any(len(point.scores) != len(row.units) for point in curve):
        raise UserError(
            f"{row.name} has no learning curve by seed (an earlier version kept means): leave it out, or run it again"
        )
    steps = {
        unit: {
            f"step_{number}": {"step_count": point.steps, METRIC: [point.scores[index]]}
            for number, point in enumerate(curve, start=1)
        }
        for index, unit in enumerate(row.units)
    }
    return {
        unit: {**steps[unit], "absolute_metrics": {METRIC: [score]}}
        for unit, score in zip(row.units, scores.scores, strict=True)
    }


def _require_alike(environment: str, tasks: dict[str, dict[str, Runs]], over: str) -> None:
    shapes = {
        f"{task}, {algorithm}": (len(runs), len(next(iter(runs.values()))) - 1)
        for task, algorithms in tasks.items()
        for algorithm, runs in algorithms.items()
    }
    algorithms = {task: sorted(found) for task, found in tasks.items()}
    if len(set(shapes.values())) > 1:
        told = "; ".join(f"{name} has {runs} {over} with {points} points" for name, (runs, points) in shapes.items())
        raise UserError(
            f"marl-eval wants as many {over}, and points of each, in all of {environment}, but {told}: "
            f"leave out the runs that differ{', or add --by method' if over == 'seeds' else ''}"
        )
    if len({tuple(found) for found in algorithms.values()}) > 1:
        told = "; ".join(f"{task} has {', '.join(found)}" for task, found in algorithms.items())
        raise UserError(
            f"marl-eval wants the same names in all tasks of {environment}, but {told}: add --by method, or write a "
            "file for each task"
        )
