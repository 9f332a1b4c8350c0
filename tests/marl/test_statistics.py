"""Golden numbers over seeds: by hand, from a textbook, or from a bootstrap that can be written out whole."""

from __future__ import annotations

import numpy as np
import pytest

from marlsmith.marl.statistics import bootstrap_interval, iqm, paired_gain, stratified_interval

SLEEP_CONTROL = (0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0)
SLEEP_CANDIDATE = (1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4)
"""Hours of sleep gained by ten patients under two drugs (Student 1908, R's `sleep`): mean(d) 1.58, t 4.0621."""

SLEEP_MEAN, SLEEP_ERROR = 1.58, 1.58 / 4.062128


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ((100.0, 1.0, -50.0, 3.0), 2.0),
        ((0.0, 1.0, 2.0, 3.0, 1000.0), 2.0),
        ((9.0, -9.0, 1.0, 2.0, 3.0, 6.0, 0.0, 99.0), 3.0),
        ((0.0, 0.0, 9.0), 3.0),
        ((1.0, 4.0), 2.5),
        ((7.0,), 7.0),
    ],
    ids=["four", "five", "eight", "three", "two", "one"],
)
def test_iqm_is_the_mean_of_the_middle_half(scores: tuple[float, ...], expected: float) -> None:
    assert iqm(scores) == expected


def test_iqm_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no score"):
        iqm(())


@pytest.mark.parametrize("scores", [(3.0,), (3.0, 3.0), (3.0,) * 10])
def test_an_interval_without_spread_is_a_point(scores: tuple[float, ...]) -> None:
    assert bootstrap_interval(scores) == (3.0, 3.0)


def test_the_interval_of_two_seeds_written_out() -> None:
    """Resamples of (0, 1) have the means 0, 1/2, 1/2, 1: quantiles below 1/4 are 0, those between are 1/2."""
    assert bootstrap_interval((0.0, 1.0), 0.95) == (0.0, 1.0)
    assert bootstrap_interval((0.0, 1.0), 0.6) == (0.0, 1.0)
    assert bootstrap_interval((0.0, 1.0), 0.4) == (0.5, 0.5)


def test_the_interval_is_of_the_iqm_and_not_of_the_mean() -> None:
    """An outlier in 8 counts only if drawn 3 times: p = 0.067. The mean's upper end at 80% would be 25."""
    scores = (0.0,) * 7 + (100.0,)
    assert bootstrap_interval(scores, 0.8) == (0.0, 0.0)
    assert bootstrap_interval(scores, 0.95)[1] > 0


@pytest.mark.parametrize(("confidence", "low", "high"), [(0.95, 0.80, 0.99), (0.5, 0.32, 0.62)])
def test_the_interval_covers_the_true_centre_as_often_as_it_says(confidence: float, low: float, high: float) -> None:
    """Normal scores of 12 seeds; the percentile interval is known to be a little narrow for so few."""
    draws = np.random.default_rng(0).normal(5.0, 2.0, (120, 12))
    intervals = [bootstrap_interval(one, confidence) for one in draws]
    assert low <= np.mean([a <= 5.0 <= b for a, b in intervals]) <= high


def test_the_interval_is_the_same_for_the_same_seed() -> None:
    scores = np.random.default_rng(0).normal(size=9)
    assert bootstrap_interval(scores, seed=1) == bootstrap_interval(scores, seed=1)
    assert bootstrap_interval(scores, seed=1) != bootstrap_interval(scores, seed=2)


# ---------------------------------------------------------------- several strata


def test_one_stratum_is_the_plain_interval() -> None:
    scores = np.random.default_rng(0).normal(size=9)
    assert stratified_interval([scores], 0.8, seed=3) == bootstrap_interval(scores, 0.8, seed=3)


def test_strata_are_resampled_each_by_itself() -> None:
    """Far apart and almost constant within: mixed resamples would swing between 0 and 100, these never do."""
    strata = [(0.0, 0.1, 0.2, 0.3), (100.0, 100.1, 100.2, 100.3)]
    low, high = stratified_interval(strata, 0.95)
    # The middle half of eight is the upper two of the first four and the lower two of the others.
    assert 50.0 <= low <= high <= 50.3
    mixed = bootstrap_interval(strata[0] + strata[1], 0.95)
    assert mixed[1] - mixed[0] > 50


def test_two_strata_written_out() -> None:
    """(0, 1) and (10, 12) drawn with return; the IQM of four is the mean of the middle two.

    The larger of the first is 0, 1 with chances 1/4, 3/4; the smaller of the second 10, 12 with 3/4, 1/4. Means:
    5 (3/16), 5.5 (9/16), 6 (1/16), 6.5 (3/16).
    """
    for confidence, interval in ((0.95, (5.0, 6.5)), (0.7, (5.0, 6.5)), (0.6, (5.5, 6.0)), (0.3, (5.5, 5.5))):
        assert stratified_interval([(0.0, 1.0), (10.0, 12.0)], confidence) == interval, confidence


@pytest.mark.parametrize(
    ("strata", "point"), [([(1.0,), (3.0,)], 2.0), ([(1.0, 1.0), (4.0,)], 2.0), ([(2.0, 2.0, 2.0)], 2.0)]
)
def test_strata_without_spread_are_a_point(strata: list[tuple[float, ...]], point: float) -> None:
    assert stratified_interval(strata) == (point, point)


def test_a_stratum_of_one_seed_counts_and_stays() -> None:
    """(5) with (0, 1, 2): the middle two of four are always between the two strata."""
    assert stratified_interval([(5.0,), (0.0, 1.0, 2.0)], 0.95) == (0.0, 2.0)
    assert bootstrap_interval((5.0, 0.0, 1.0, 2.0), 0.95)[1] > 2.0, "where it may be drawn again"


@pytest.mark.parametrize("strata", [[], [()], [(1.0, 2.0), ()]])
def test_strata_without_scores_are_refused(strata: list[tuple[float, ...]]) -> None:
    with pytest.raises(ValueError, match="a score in every stratum"):
        stratified_interval(strata)


@pytest.mark.slow
@pytest.mark.parametrize(("confidence", "low", "high"), [(0.95, 0.88, 0.99), (0.5, 0.40, 0.60)])
def test_the_stratified_interval_covers_the_true_centre(confidence: float, low: float, high: float) -> None:
    """Three tasks of different means, ten seeds each, 400 studies; the truth from two million draws."""
    draws = np.random.default_rng(0)
    centres = np.array([0.0, 1.0, 3.0])[:, None]
    truth = iqm((centres + draws.normal(size=(3, 700_000))).ravel().tolist())
    studies = centres + draws.normal(size=(400, 3, 10))
    held = [a <= truth <= b for a, b in (stratified_interval(list(one), confidence) for one in studies)]
    assert low <= np.mean(held) <= high


# ---------------------------------------------------------------- pairs


def test_paired_gain_of_students_sleep_data() -> None:
    """R: t.test(extra ~ group, data = sleep, paired = TRUE) prints 0.7001142 2.4598858; one-sided p 0.001416."""
    gain = paired_gain(SLEEP_CANDIDATE, SLEEP_CONTROL, 0.05)
    assert gain.mean == pytest.approx(SLEEP_MEAN)
    assert gain.interval == pytest.approx((0.7001142, 2.4598858), abs=1e-6)
    assert gain.lower_bound == pytest.approx(0.8669947, abs=1e-5)
    assert gain.p_value == pytest.approx(0.002833 / 2, abs=1e-6)


@pytest.mark.parametrize(
    ("level", "quantile"), [(0.25, 0.703), (0.1, 1.383), (0.05, 1.833), (0.025, 2.262), (0.01, 2.821), (0.001, 4.297)]
)
def test_the_lower_bound_is_one_sided_at_the_level(level: float, quantile: float) -> None:
    """Quantiles of Student's t with 9 degrees of freedom, as printed in tables."""
    gain = paired_gain(SLEEP_CANDIDATE, SLEEP_CONTROL, level)
    assert gain.lower_bound == pytest.approx(SLEEP_MEAN - quantile * SLEEP_ERROR, abs=6e-4 * SLEEP_ERROR)
    assert gain.interval == pytest.approx((0.7001142, 2.4598858), abs=1e-6), "95% whatever the level"


@pytest.mark.parametrize("level", [0.001, 0.0014, 0.0015, 0.05, 0.3])
def test_the_bound_is_above_zero_exactly_where_p_is_below_the_level(level: float) -> None:
    gain = paired_gain(SLEEP_CANDIDATE, SLEEP_CONTROL, level)
    assert (gain.lower_bound > 0) == (gain.p_value < level)


def test_a_loss_is_a_gain_with_the_signs_turned() -> None:
    gain, loss = (
        paired_gain(*pair, 0.05) for pair in ((SLEEP_CANDIDATE, SLEEP_CONTROL), (SLEEP_CONTROL, SLEEP_CANDIDATE))
    )
    assert loss.mean == pytest.approx(-gain.mean)
    assert loss.interval == pytest.approx((-gain.interval[1], -gain.interval[0]))
    assert loss.p_value == pytest.approx(1 - gain.p_value)
    assert loss.lower_bound < loss.mean


def test_scores_are_paired_by_seed() -> None:
    """What all seeds share cancels, however much the seeds differ."""
    control = np.array([0.0, 100.0, -50.0, 7.0])
    gain = paired_gain(control + np.array([1.0, 1.1, 0.9, 1.0]), control, 0.05)
    assert gain.lower_bound > 0.85
    assert paired_gain(control + np.array([1.0, 1.1, 0.9, 1.0]), control[::-1], 0.05).lower_bound < 0


@pytest.mark.parametrize(
    ("shift", "count", "lower_bound", "interval", "p_value"),
    [
        (0.5, 5, 0.5, (0.5, 0.5), 1 / 32),
        (0.5, 4, 0.0, (0.0, 0.5), 1 / 16),
        (0.02, 2, 0.0, (0.0, 0.02), 1 / 4),
        (0.0, 5, 0.0, (0.0, 0.0), 1.0),
        (-0.5, 5, -0.5, (-0.5, 0.0), 1.0),
    ],
)
def test_a_gain_without_spread_is_judged_by_its_signs(
    shift: float, count: int, lower_bound: float, interval: tuple[float, float], p_value: float
) -> None:
    """Two equal differences are no proof, five are: half to the power of their number, below the level or not."""
    control = [float(2**n) for n in range(count)]
    gain = paired_gain([score + shift for score in control], control, 0.05)
    assert gain.mean == pytest.approx(shift)
    assert gain.lower_bound == pytest.approx(lower_bound)
    assert gain.interval == pytest.approx(interval)
    assert gain.p_value == p_value


def test_scores_that_cannot_be_paired_are_refused() -> None:
    with pytest.raises(ValueError, match="3 scores cannot be paired with 2"):
        paired_gain((1.0, 2.0, 3.0), (1.0, 2.0), 0.05)
    with pytest.raises(ValueError, match="at least two seeds"):
        paired_gain((1.0,), (0.0,), 0.05)
