"""Who is dropped after the first heat, who of them is audited, and what the race costs."""

from __future__ import annotations

import numpy as np
import pytest

from marlsmith.benchmarks.calibration import HEAT, NULLS, simulated_nulls
from marlsmith.graph.judging.gate import EFFECT, Trial, gate
from marlsmith.graph.judging.racing import RaceCost, audited, hopeless

CONTROL = (0.1, 0.2, 0.3, 0.2)


@pytest.mark.parametrize(
    ("gains", "margin", "reason"),
    [
        ((0.1, 0.1, -0.04, 0.0), 0.0, None),
        ((0.1, 0.1, -0.04, 0.0), 0.05, "the mean gain +0.040 over the first 4 seeds does not exceed the margin 0.05"),
        ((-0.1, 0.1, -0.04, 0.0), 0.0, "the mean gain -0.010 over the first 4 seeds does not exceed the margin 0"),
        ((0.0, 0.0, 0.0, 0.0), 0.0, "no gain and no loss in any of the first 4 seeds"),
    ],
)
def test_without_a_gain_there_is_no_hope(gains: tuple[float, ...], margin: float, reason: str | None) -> None:
    candidate = [score + gain for score, gain in zip(CONTROL, gains, strict=True)]
    assert hopeless(CONTROL, candidate, margin=margin) == reason


def test_a_stricter_level_drops_only_what_is_proven_to_be_no_better() -> None:
    """t(.95, 3) = 2.353: the bound of the losses .1, .2, .1, .2 is -.15 + 2.353 * .0289; the others' is above 0."""
    surely_worse, perhaps = (0.0, 0.0, 0.2, 0.0), (0.0, 0.0, 0.4, 0.2)
    assert "even the upper bound -0.082" in (hopeless(CONTROL, surely_worse, margin=0.0, level=0.05) or "")
    assert hopeless(CONTROL, perhaps, margin=0.0) is not None
    assert hopeless(CONTROL, perhaps, margin=0.0, level=0.05) is None


def test_the_stated_effect_is_almost_never_dropped_and_half_of_the_nulls_are() -> None:
    """By the normal distribution: 1.5 * sqrt(4) = 3 standard errors above zero, .00135."""
    differences = np.random.default_rng(0).normal(EFFECT, 1.0, (4000, HEAT))
    dropped = [hopeless((0.0,) * HEAT, one.tolist(), margin=0.0) is not None for one in differences]
    assert np.mean(dropped) <= 0.004
    nulls = simulated_nulls(NULLS["normal"], 150, seed=2)
    assert 0.4 <= nulls.dropped / nulls.candidates <= 0.6
    assert nulls.missed <= 1


def test_what_shows_nothing_in_half_of_its_seeds_could_not_pass_any_more() -> None:
    control = (0.0,) * 8
    candidate = (0.0,) * 4 + (1.0,) * 4
    assert hopeless(control[:4], candidate[:4], margin=0.0) is not None
    assert not gate(control, [Trial("a", candidate)], level=0.05, margin=0.0, tests=1)[0].passed


def test_the_audit_draws_its_share_and_repeats_itself() -> None:
    names = [f"c{i}" for i in range(400)]
    drawn = audited(names, 0.25, seed=3)
    assert drawn == audited(names[::-1], 0.25, seed=3)
    assert drawn == sorted(set(drawn))
    assert set(drawn) <= set(names)
    assert 70 <= len(drawn) <= 130
    assert audited(names, 0.25, seed=4) != drawn
    assert audited(names, 0.0, seed=3) == []
    assert audited(names, 1.0, seed=3) == sorted(names)
    assert audited([], 0.5, seed=3) == []


def test_small_rounds_are_audited_as_often_as_large_ones() -> None:
    assert 150 <= sum(len(audited(["a", "b"], 0.1, seed)) for seed in range(1000)) <= 250


def test_costs_of_races_add_up() -> None:
    one = RaceCost(dropped=4, audited=2, missed=1, steps_saved=160_000, steps_audited=160_000)
    assert sum([one, one], RaceCost()) == RaceCost(8, 4, 2, 320_000, 320_000)
