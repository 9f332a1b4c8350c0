"""The events of a run as rows for trackers: numbers on lines, texts, and settings.

Lines are grouped, so that what can be compared stands together: `search/`, `confirm/`, `main`, and at the end
`result/native` and `result/best`. The empty line is the run itself.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from marlsmith.graph.naming import FINAL_BRANCH, PLAIN_BRANCH, is_confirmation, is_plain
from marlsmith.graph.state import NATIVE_ID
from marlsmith.graph.telling.trace import Event
from marlsmith.schemas import CurvePoint, Evaluation, printable

Axis = Literal["environment_steps", "round", "seconds"]
AXES: dict[str, Axis] = {
    "curve": "environment_steps",
    "term_share": "environment_steps",
    "result": "environment_steps",
    "round": "round",
    "cost": "seconds",
}
"""Of each group of numbers: what stands before the slash of their names."""

Hyperparameter = str | int | float | bool
LONGEST_TEXT = 100_000
LONGEST_NAME = 200
_SETTINGS = ("task", "seed", "workers")


@dataclass(frozen=True)
class Numbers:
    """`line` is a path of plain names; `seconds` are those that the run had taken."""

    line: str
    axis: Axis
    at: int
    values: Mapping[str, float]
    seconds: float


@dataclass(frozen=True)
class Text:
    name: str
    text: str
    seconds: float


@dataclass(frozen=True)
class Settings:
    values: Mapping[str, Hyperparameter]
    seconds: float


Row = Numbers | Text | Settings


class Rows:
    """Reads a run's events in their order. `code` gives a candidate as Python."""

    def __init__(self, code: Callable[[str], str]) -> None:
        self._code = code
        self._begun = False
        self._rounds: dict[tuple[int, int], int] = {}
        self._untold: list[tuple[str, Evaluation]] = []
        """What was trained since the last verdict, by line."""
        self._confirmed: dict[str, Evaluation] = {}
        self._plain: list[Evaluation] = []
        self._steps = 0
        self._told_cost = -1

    def of(self, event: Event) -> list[Row]:
        """Raises LookupError, TypeError or ValueError where it is no event of ours."""
        return [row for row in self._of(event) if not isinstance(row, Numbers) or row.values]

    def _of(self, event: Event) -> Iterator[Row]:
        seconds = float(event["seconds"])
        match event["event"]:
            case "run_started" if not self._begun:
                self._begun = True
                yield Settings(hyperparameters(event["settings"]), seconds)
            case "tool_result":
                yield from self._trained(event, Evaluation.model_validate(event["evaluation"]), seconds)
            case "judged":
                yield from self._judged(event, seconds)
            case "promoted":
                yield self._promoted(event, seconds)
            case "advanced":
                yield from _lap("main", event, seconds)
            case "finished":
                yield from self._finished(event, seconds)

    def _trained(self, event: Event, found: Evaluation, seconds: float) -> Iterator[Row]:
        line = line_of(event["branch"])
        self._untold.append((line, found))
        if line.startswith("confirm/"):
            self._confirmed[event["candidate"]] = found
        if is_plain(event["branch"]):
            self._plain.append(found)
        yield from _curve(line, found.curve, seconds)
        shares = {f"term_share/{_plain_name(name)}": term.share for name, term in found.terms.items()}
        yield _numbers(line, found.curve[-1].steps if found.curve else found.steps, shares, seconds)
        self._steps += found.environment_steps
        yield from self._cost(event, self._steps)

    def _cost(self, event: Event, steps: int) -> Iterator[Row]:
        """Once a second, since that is its axis."""
        at = int(event["seconds"])
        if at > self._told_cost:
            self._told_cost = at
            spent = {"tokens": event["tokens"], "money": event["money"], "environment_steps": steps}
            values = {f"cost/{name}": value for name, value in spent.items()}
            yield _numbers("", at, values, event["seconds"], "seconds")

    def _judged(self, event: Event, seconds: float) -> Iterator[Row]:
        """Scores by round. A signal is compared with the control where a main run is adapted, so there stand gains."""
        round = self._rounds.setdefault((event["stage"], event["round"]), len(self._rounds) + 1)
        told, self._untold = self._untold, []
        for line, found in [one for one in told if not one[0].startswith("main/")]:
            yield _numbers(line, round, _standing("round/score", found.score, found.interval), seconds, "round")
        for one in event.get("compared", ()):
            values = _standing("round/gain", one["gain"], one["interval"])
            line = f"{event['phase']}/{_plain_name(one['candidate'])}-h{int(event['heat'])}"
            yield _numbers(line, round, values, seconds, "round")
        tried = [found for line, found in told if line.startswith("search/s") and found.score is not None]
        if tried and not event.get("compared"):
            best = max(tried, key=lambda found: found.score or 0.0)
            values = _standing("round/score", best.score, best.interval)
            yield _numbers("search/best-of-round", round, values, seconds, "round")

    def _promoted(self, event: Event, seconds: float) -> Row:
        id = event["candidate"]
        if not re.fullmatch(r"[A-Za-z0-9_-]+", id):
            raise ValueError(f"{id} is no candidate")
        return Text(f"promoted_signal/stage_{int(event['stage'])}", self._code(id)[:LONGEST_TEXT], seconds)

    def _finished(self, event: Event, seconds: float) -> Iterator[Row]:
        native, best, gain, main = (event.get(part) or {} for part in ("native", "best", "gain", "main"))
        if main:
            for lap in main["laps"] if best else ():
                yield from _lap("result/best", lap, seconds)
            if self._plain:
                from marlsmith.graph.adapting.merging import merged  # scipy: few runs need it

                yield from _curve("result/native", merged(PLAIN_BRANCH, self._plain).curve, seconds)
        else:
            for line, id in (("result/native", NATIVE_ID), ("result/best", best.get("candidate"))):
                if id in self._confirmed:
                    yield from _curve(line, self._confirmed[id].curve, seconds)
        values: dict[str, float | None] = {
            **_standing("result/native_score", native.get("score"), native.get("interval")),
            **_standing("result/best_score", best.get("score"), best.get("interval")),
            **_standing("result/gain", gain.get("mean"), gain.get("interval")),
            "result/promoted": float(event["promoted"]),
            **{f"result/{name}": main.get(name) for name in ("peak", "final", "area")},
        }
        values |= {f"result/{name}": event[name] for name in ("seconds", "tokens", "money", "environment_steps")}
        steps = int(event["environment_steps"])
        yield _numbers("", steps, values, seconds)
        yield from self._cost(event, steps)
        yield Text("verdict", printable(str(event["reason"]), LONGEST_TEXT), seconds)


def line_of(branch: str) -> str:
    """`search/s1r2c3-h1`, `confirm/s1r2c3`, `main/plain-h2`: told apart by what its training was for."""
    name = _plain_name(branch)
    if is_plain(name) or name.startswith(("main-s", FINAL_BRANCH)):
        return f"main/{name}"
    return f"confirm/{name.replace('-confirm', '')}" if is_confirmation(name) else f"search/{name}"


def hyperparameters(settings: Mapping[str, Any]) -> dict[str, Hyperparameter]:
    """What a tracker may know of a run: no addresses, and nothing of the episodes that decide."""
    roles = settings["roles"]
    models = {name: model["model"] for name, model in roles["models"].items()}
    played = {
        "generator": ", ".join(models.get(name, name) for name in roles["generators"]),
        **{role: models.get(roles[role], roles[role] or "none") for role in ("critic", "validator")},
    }
    return {
        "method": str(settings["method_name"]),
        **{name: _scalar(settings[name]) for name in _SETTINGS},
        **{f"method.{name}": _scalar(value) for name, value in settings["method"].items() if name != "prelude"},
        **{f"train.{name}": _scalar(value) for name, value in settings["train"].items()},
        **{f"role.{role}": printable(str(name), LONGEST_NAME) for role, name in played.items()},
    }


def _scalar(value: object) -> Hyperparameter:
    return value if isinstance(value, bool | int | float) else printable(str(value), LONGEST_NAME)


def _curve(line: str, points: Iterable[CurvePoint], seconds: float) -> Iterator[Row]:
    for point in points:
        values = {name: getattr(point, name) for name in ("score", "native_return", "shaped_return")}
        yield _numbers(line, point.steps, {f"curve/{name}": value for name, value in values.items()}, seconds)


def _lap(line: str, lap: Mapping[str, Any], seconds: float) -> Iterator[Row]:
    values = _standing("curve/score", lap["score"], lap["interval"])
    values["curve/native_return"] = lap.get("metrics", {}).get("native_return")
    yield _numbers(line, int(lap["steps"]), values, seconds)


def _standing(name: str, value: float | None, interval: Iterable[float] | None) -> dict[str, float | None]:
    low, high = interval or (None, None)
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def _numbers(
    line: str, at: int, values: Mapping[str, float | None], seconds: float, axis: Axis = "environment_steps"
) -> Numbers:
    """Without what was not measured."""
    known = {name: float(value) for name, value in values.items() if value is not None and math.isfinite(value)}
    return Numbers(line, axis, at, known, seconds)


def _plain_name(name: str) -> str:
    """One step of a path: lines become directories, and candidate code names its terms."""
    return re.sub(r"[^A-Za-z0-9_.+ -]", "_", name)[:LONGEST_NAME].lstrip(".") or "_"
