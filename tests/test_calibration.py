"""How often the gate errs: on simulated scores, and by `make proof` on trainings (benchmarks/calibration.py)."""

from __future__ import annotations

import pytest

from marlsmith.benchmarks import calibration
from marlsmith.benchmarks.calibration import LEVEL, NULLS, Count
from marlsmith.graph.judging.gate import EFFECT

ROUNDS = 120
"""Of three candidates, for each way in which scores are drawn."""


@pytest.fixture(scope="module")
def nulls() -> dict[str, Count]:
    return {name: calibration.simulated_nulls(draw, ROUNDS, seed=7) for name, draw in NULLS.items()}


def test_nulls_are_hardly_ever_promoted(nulls: dict[str, Count]) -> None:
    """Normal scores, shares of episodes, mostly zeros, all or nothing: 2,160 of them."""
    assert sum(count.candidates for count in nulls.values()) >= 2000
    for name, count in nulls.items():
        assert count.promoted / count.candidates <= LEVEL, name
    assert sum(count.promoted for count in nulls.values()) / 2000 <= 0.005, "gate and confirmation are both in the way"


def test_the_gate_alone_keeps_its_level(nulls: dict[str, Count]) -> None:
    """Each test is at .05 / 3; three standard errors are allowed for."""
    for name, count in nulls.items():
        level = LEVEL / calibration.CANDIDATES
        assert count.passed / count.candidates <= level + 3 * (level * (1 - level) / count.candidates) ** 0.5, name


def test_the_race_costs_no_promotion(nulls: dict[str, Count]) -> None:
    assert sum(count.missed for count in nulls.values()) <= 2


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_whole_path_on_trainings() -> None:
    """200 nulls: at most 5% promoted; 100 harmful ones: none; and what serves is found."""
    found = calibration.train(nulls=200, harmful=100, helpful=20)
    counts = {job: one.count for job, one in found.items()}
    total = {kind: sum(c.candidates for (of, _), c in counts.items() if of == kind) for kind, _ in counts}
    promoted = {kind: sum(c.promoted for (of, _), c in counts.items() if of == kind) for kind, _ in counts}
    assert total == {"null": 200, "harmful": 100, "helpful": 20}
    assert promoted["null"] / 200 <= LEVEL
    assert promoted["harmful"] == 0
    harm = [gain for (kind, _), one in found.items() if kind == "harmful" for gain in one.gains]
    assert sum(gain < 0 for gain in harm) >= 95, "they do harm"
    later = found["helpful", "later"]
    assert sum(later.gains) / 10 > EFFECT * later.spread, "no less than the stated effect"
    assert later.count.promoted >= 8


@pytest.mark.slow
def test_the_power_for_the_stated_effect() -> None:
    """At least .8 of 2,000 rounds; by a long simulation it is .87."""
    found = calibration.simulated_power(EFFECT, 2000, seed=8)
    assert found.interval[0] >= 0.8
