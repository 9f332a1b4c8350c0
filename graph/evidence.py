"""What the critic may cite: one flat table of numbers, small enough for a prompt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from marlsmith.schemas import CurvePoint, Evaluation

LIMIT = 60
CHARACTERS = 2400
"""600 tokens of about 4 characters, as the critic's prompt writes the table: `key = value` and a line break."""


def evidence(control: Evaluation | None, parents: Sequence[Evaluation]) -> dict[str, float]:
    """At most LIMIT numbers in CHARACTERS, under keys such as `native.score` or `s1r2c3.term.approach.share`.

    Outcomes come before details and the best parent before the others, so that what does not fit is what
    matters least; a row too long for the room that is left makes way for shorter ones. Four significant
    digits: what is cited must be comparable with what was shown.
    """
    table: dict[str, float] = {}
    scored = [parent for parent in parents if parent.score is not None]
    rows = [*_native(control), *(row for parent in scored for row in _outcome(parent, control))]
    rows += [row for parent in scored for row in _details(parent)]
    left = CHARACTERS
    for key, value in rows:
        length = len(f"{key} = {value:.4g}\n")
        if length <= left and len(table) < LIMIT:
            table[key] = float(f"{value:.4g}")
            left -= length
    return table


def _native(control: Evaluation | None) -> Iterator[tuple[str, float]]:
    if control is None or control.score is None:
        return
    yield from _standing("native", control)
    for name, value in control.metrics.items():
        yield f"native.metric.{name}", value
    for name, value in control.behaviour.items():
        yield f"native.behaviour.{name}", value


def _outcome(parent: Evaluation, control: Evaluation | None) -> Iterator[tuple[str, float]]:
    yield from _standing(parent.candidate, parent)
    if control is not None and control.score is not None and parent.score is not None:
        yield f"{parent.candidate}.gain", parent.score - control.score


def _standing(name: str, evaluation: Evaluation) -> Iterator[tuple[str, float]]:
    assert evaluation.score is not None
    yield f"{name}.score", evaluation.score
    if len(evaluation.scores) > 1:
        yield f"{name}.spread", max(evaluation.scores) - min(evaluation.scores)
    yield from _trends(name, evaluation.curve)


def _details(parent: Evaluation) -> Iterator[tuple[str, float]]:
    name = parent.candidate
    for metric, value in parent.metrics.items():
        yield f"{name}.metric.{metric}", value
    for behaviour, value in parent.behaviour.items():
        yield f"{name}.behaviour.{behaviour}", value
    for term, statistics in parent.terms.items():
        yield f"{name}.term.{term}.share", statistics.share
        yield f"{name}.term.{term}.mean", statistics.mean


def _trends(name: str, curve: Sequence[CurvePoint]) -> Iterator[tuple[str, float]]:
    """Last third minus first third of the training curve, and how far the score fell from its peak."""
    if len(curve) < 3:
        return
    third = len(curve) // 3
    scores = [point.score for point in curve]
    shaped = [point.shaped_return for point in curve]
    yield f"{name}.trend.score", _mean(scores[-third:]) - _mean(scores[:third])
    yield f"{name}.trend.shaped_return", _mean(shaped[-third:]) - _mean(shaped[:third])
    yield f"{name}.drop_from_peak", max(scores) - scores[-1]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
