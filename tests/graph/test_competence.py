"""Whether branch ranks carry information: known, unknown, and known not to."""

from __future__ import annotations

import numpy as np
import pytest

from marlsmith.graph.judging.competence import FEWEST_PAIRS, competence, informative

AGREE = [(0.1, 1.0), (0.2, 1.5), (0.3, 9.0), (0.4, 9.5)]


def test_equal_orders_are_informative_whatever_the_distances() -> None:
    found = competence(AGREE)
    assert found.correlation == pytest.approx(1.0)
    assert found.p_value == pytest.approx(1 / 24), "one order of four candidates is as good"
    assert informative(found, 0.9)
    assert "+1.00 (p = 0.042)" in found.words


def test_turned_orders_and_no_order_are_not() -> None:
    turned = competence([(first, -second) for first, second in AGREE])
    assert turned.correlation == pytest.approx(-1.0)
    assert turned.p_value == pytest.approx(1.0)
    assert not informative(turned, 0.0)
    # Ranks 1 2 3 4 against 2 4 1 3: 1 - 6 * (1 + 4 + 4 + 1) / (4 * 15) = 0.
    none = competence([(1, 2), (2, 4), (3, 1), (4, 3)])
    assert none.correlation == pytest.approx(0.0)
    assert not informative(none, 0.0)
    assert informative(none, -0.5)


def test_a_correlation_at_the_threshold_is_not_above_it() -> None:
    # Ranks 1 2 3 4 against 1 2 4 3: 1 - 6 * 2 / 60 = .8.
    found = competence([(1, 1), (2, 2), (3, 4), (4, 3)])
    assert found.correlation == pytest.approx(0.8)
    assert not informative(found, 0.8 + 1e-9)
    assert informative(found, 0.8 - 1e-9)


def test_too_few_candidates_are_no_ground_to_abstain_on() -> None:
    for pairs in ([], AGREE[:1], [(1.0, 3.0), (2.0, 2.0), (3.0, 1.0)]):
        found = competence(pairs)
        assert (found.correlation, found.p_value, found.known) == (None, None, False)
        assert informative(found, 0.9)
        assert f"not known yet (pairs so far: {len(pairs)}, needed: {FEWEST_PAIRS})" in found.words
        assert "the gate rests on its own statistics" in found.words


@pytest.mark.parametrize("equal", [0, 1])
def test_gains_that_are_all_equal_are_no_ground_to_abstain_on(equal: int) -> None:
    pairs = [(0.0, float(i)) if equal == 0 else (float(i), 0.0) for i in range(5)]
    found = competence(pairs)
    assert (found.correlation, found.known) == (None, False)
    assert informative(found, 0.9)
    assert "all 5 candidates gain the same at one of the horizons" in found.words


def test_the_p_value_of_many_candidates_is_that_of_the_approximation() -> None:
    """12 pairs with rho = .5: t = .5 sqrt(10 / .75) = 1.826 with 10 degrees of freedom, p = .049."""
    rng = np.random.default_rng(0)
    draws = (list(zip(range(12), rng.permutation(12).tolist(), strict=True)) for _ in range(5000))
    pairs = next(p for p in draws if abs(_rho(p) - 0.5) < 0.01)
    found = competence(pairs)
    assert found.correlation == pytest.approx(_rho(pairs))
    assert found.p_value == pytest.approx(0.05, abs=0.015)


def _rho(pairs: list[tuple[int, int]]) -> float:
    return 1 - 6 * sum((a - b) ** 2 for a, b in pairs) / (12 * 143)
