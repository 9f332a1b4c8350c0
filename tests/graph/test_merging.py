"""Heats put together are the branch over all its seeds."""

from __future__ import annotations

from typing import Any

import pytest

from marlsmith.graph.adapting.merging import merged
from marlsmith.marl.statistics import bootstrap_interval, iqm
from marlsmith.schemas import CurvePoint, Evaluation, Failure, TermStatistics


def point(steps: int, score: float) -> CurvePoint:
    return CurvePoint(steps=steps, score=score, native_return=-score, shaped_return=2 * score)


def heat(seeds: tuple[int, ...], scores: tuple[float, ...], **changes: Any) -> Evaluation:
    given = {"candidate": "s1r1c1", "branch": "s1r1c1-h1", "seeds": seeds, "steps": 400, "scores": scores}
    return Evaluation.model_validate(given | {"score": iqm(scores) if scores else None, "interval": (0, 1)} | changes)


def test_scores_are_those_of_all_seeds_and_judged_anew():
    found = merged("s1r1c1", [heat((0, 1, 2), (0.0, 0.1, 0.9)), heat((3,), (0.4,))])
    scores = (0.0, 0.1, 0.9, 0.4)
    assert (found.branch, found.seeds, found.scores, found.steps) == ("s1r1c1", (0, 1, 2, 3), scores, 400)
    assert found.score == iqm(scores)
    assert found.interval == bootstrap_interval(scores)


def test_means_count_every_seed_alike():
    def terms(mean: float, share: float) -> dict[str, TermStatistics]:
        return {"approach": TermStatistics(mean=mean, spread=1.0, share=share)}

    one = heat((0, 1, 2), (0.0,) * 3, metrics={"a": 1.0}, behaviour={"idle": 0.0}, terms=terms(1.0, 1.0))
    other = heat((3,), (0.0,), metrics={"a": 5.0, "b": 1.0}, behaviour={"idle": 1.0}, terms=terms(-3.0, 0.0))
    found = merged("b", [one, other])
    assert found.metrics == {"a": 2.0}, "what one of them does not know nobody knows of all"
    assert found.behaviour == {"idle": 0.25}
    assert found.terms["approach"].model_dump() == pytest.approx({"mean": 0.0, "spread": 1.0, "share": 0.75})


def test_curves_are_averaged_where_both_have_a_point():
    one = heat((0,), (0.0,), curve=(point(100, 0.0), point(200, 0.2), point(300, 0.4)))
    other = heat((1, 2, 3), (0.0,) * 3, curve=(point(100, 0.4), point(200, 0.6)))
    found = merged("b", [one, other])
    assert [(p.steps, p.score, p.shaped_return) for p in found.curve] == [
        (100, pytest.approx(0.3), pytest.approx(0.6)),
        (200, pytest.approx(0.5), pytest.approx(1.0)),
    ]


def test_the_first_failure_is_that_of_the_branch():
    failed = heat((2, 3), (), score=None, interval=None, error=Failure(stage="dynamic", message="NaN"))
    found = merged("b", [heat((0, 1), (0.5, 0.5)), failed])
    assert found.error == failed.error
    assert (found.score, found.scores, found.curve) == (None, (), ())
    assert (found.seeds, found.steps) == ((0, 1, 2, 3), 400)


def test_time_and_speed_are_those_of_all_heats():
    parts = [
        heat((0, 1), (0.5, 0.5), seconds=2.0, steps_per_second=400.0, warnings=("slow",)),
        heat((2, 3), (0.5, 0.5), seconds=6.0, steps_per_second=133.0 + 1 / 3, warnings=("slow", "late")),
    ]
    found = merged("b", parts)
    assert found.seconds == 8.0
    assert found.steps_per_second == pytest.approx(2 * 800 / (2.0 + 6.0))
    assert found.warnings == ("slow", "late")
