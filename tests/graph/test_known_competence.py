"""What is set side by side: gains over the same members, half-way and at the end, or there and in a longer training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from graph_fakes import Equipment, FakeExecutor, StagedGenerator, make_main_run, weight_of

from marlsmith.graph.adapting import known_competence
from marlsmith.graph.judging.competence import Competence, competence
from marlsmith.graph.run import start

Pairs = Sequence[tuple[float, float]]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Pairs]:
    """All pairs that were ever set side by side, the latest last."""
    seen: list[Pairs] = []

    def watched(pairs: Pairs) -> Competence:
        seen.append(list(pairs))
        return competence(pairs)

    monkeypatch.setattr(known_competence, "competence", watched)
    return seen


def run(path: Path, executor: FakeExecutor, weights: dict[tuple[int, int], Sequence[float]], **settings: Any) -> None:
    usual = {"branch_steps": 800, "rounds": 1, "audit": 0.0}
    list(start(make_main_run(**usual | settings), Equipment(executor, StagedGenerator(weights)), path))


def test_a_candidate_that_was_dropped_is_set_beside_the_same_members_of_the_control(tmp_path, told):
    """Those of the second heat learn faster; no signal does anything."""
    executor = FakeExecutor(noise=0.0, course=lambda signal, clock, seed: 0.1 if seed % 8 >= 4 else 0.0)
    run(tmp_path / "run", executor, {(1, 1): [-1.0, -2.0], (2, 1): [-3.0]}, stages=2)
    assert told[-1] == [(pytest.approx(0.0), pytest.approx(0.0))] * 3


def test_a_finalist_is_set_beside_its_own_longer_confirmation_and_others_half_way(tmp_path, told):
    """By weight, the first rollout brings .05, the second .03, and either one after that .2."""

    def course(signal: Any, clock: int, seed: int) -> float:
        return weight_of(signal) * (0.05 if clock < 400 else 0.03 if clock < 800 else 0.2)

    executor = FakeExecutor(noise=1e-6, course=course)
    run(tmp_path / "run", executor, {(1, 1): [2.0, 1.0, -1.0]}, stages=2)
    exactly = lambda weight, near, far: pytest.approx((weight * near, weight * far), abs=1e-4)  # noqa: E731
    assert sorted(told[-1]) == [exactly(-1, 0.05, 0.08), exactly(1, 0.08, 0.48), exactly(2, 0.08, 0.48)]
