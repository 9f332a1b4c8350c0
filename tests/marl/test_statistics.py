"""Golden numbers over seeds: by hand, from a textbook, or from a bootstrap that can be written out whole."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from marlsmith.marl.statistics import (
    area_under,
    bootstrap_interval,
    fewest_pairs,
    improvement_probability,
    iqm,
    paired_gain,
    proportion_interval,
    rank_correlation,
    sign_flip_p,
    stratified_interval,
)

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


# ---------------------------------------------------------------- signs


def test_sign_flips_of_darwins_plants() -> None:
    """Fisher 1935, section 21: of 2^15 ways 863 are as good as Darwin's 15 pairs, ties included, one-sided."""
    differences = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
    # More pairs than are counted out: drawn, so near it.
    assert sign_flip_p([float(d) for d in differences], [0.0] * 15) == pytest.approx(863 / 2**15, abs=0.004)


def test_sign_flips_written_out() -> None:
    """Differences 1, 2, -1: the sums of the eight ways are 4, 2, 2, 0 and their negatives; three are at least 2."""
    assert sign_flip_p((1.0, 2.0, -1.0), (0.0, 0.0, 0.0)) == 3 / 8
    assert sign_flip_p((2.0, 3.0, 0.0), (0.0, 0.0, 0.0), margin=1.0) == 3 / 8
    assert sign_flip_p((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)) == 1.0


def test_sign_flips_see_ties_through_rounding() -> None:
    """Eight equal gains that differ in their last bits, one of them turned: 9 of 256, whatever the scale."""
    for shift in (0.0, 0.7, 1e4):
        control = np.linspace(0.1, 0.8, 8) + shift
        candidate = control + np.array([0.1] * 7 + [-0.1])
        assert sign_flip_p(candidate.tolist(), control.tolist()) == 9 / 256


def test_sign_flips_see_a_sum_of_zero() -> None:
    """.64 - .16 - .48 = 0: of the eight ways two sum to that and three to more."""
    for order in ((0.64, -0.16, -0.48), (-0.48, 0.64, -0.16), (-0.16, -0.48, 0.64)):
        assert sign_flip_p([1 / 3 + x for x in order], [1 / 3] * 3) == 5 / 8


def test_sign_flips_need_pairs() -> None:
    with pytest.raises(ValueError, match="3 scores cannot be paired with 2"):
        sign_flip_p((1.0, 2.0, 3.0), (1.0, 2.0))
    with pytest.raises(ValueError, match="at least two seeds"):
        sign_flip_p((1.0,), (0.0,))


@pytest.mark.parametrize(("level", "pairs"), [(0.5, 1), (0.25, 2), (0.05, 5), (0.05 / 3, 6), (1 / 64, 6), (0.0156, 7)])
def test_fewest_pairs_are_those_whose_smallest_p_is_within_the_level(level: float, pairs: int) -> None:
    assert fewest_pairs(level) == pairs
    assert 0.5**pairs <= level < 0.5 ** (pairs - 1)


# ---------------------------------------------------------------- shares and ranks


@pytest.mark.parametrize(
    ("successes", "trials", "interval"),
    [
        (0, 200, (0.0, 1 - 0.025 ** (1 / 200))),
        (3, 3, (0.025 ** (1 / 3), 1.0)),
        (4, 20, (0.0573, 0.4366)),
    ],
)
def test_proportion_intervals(successes: int, trials: int, interval: tuple[float, float]) -> None:
    """None and all can be solved by hand; 4 of 20 is R's binom.test."""
    assert proportion_interval(successes, trials) == pytest.approx(interval, abs=5e-5)


def test_rank_correlation_written_out() -> None:
    """Ranks 1 2 3 against 1 3 2: 1 - 6 * 2 / 24; of the six orders three are at least as good."""
    assert rank_correlation([(0.1, 5.0), (0.2, 90.0), (7.0, 6.0)]) == (pytest.approx(0.5), 0.5)
    assert rank_correlation([(1.0, 1.0), (2.0, 1.0)]) is None
    assert rank_correlation([(1.0, 1.0)]) is None
    assert rank_correlation([]) is None


def test_rank_correlation_shares_the_ranks_of_equals() -> None:
    """Ranks 1.5 1.5 3 4 against 1 2 3 4: Pearson's of the ranks, 4.5 / sqrt(4.5 * 5)."""
    found = rank_correlation([(0.0, 1.0), (0.0, 2.0), (1.0, 3.0), (2.0, 4.0)])
    assert found == (pytest.approx((4.5 / 5) ** 0.5), pytest.approx(2 / 24))


# ---------------------------------------------------------------- probability of improvement


@pytest.mark.parametrize(
    ("scores", "others", "expected"),
    [
        ((1.0, 3.0), (2.0, 3.0), 1.5 / 4),  # 1 < 2, 1 < 3, 3 > 2, 3 = 3
        ((2.0, 3.0), (1.0, 3.0), 2.5 / 4),
        ((5.0, 5.0), (5.0,), 0.5),
        ((1.0, 2.0, 3.0), (0.0, 0.5), 1.0),
    ],
    ids=["a tie", "the other way round", "equal", "apart"],
)
def test_improvement_counts_all_pairs(scores: tuple[float, ...], others: tuple[float, ...], expected: float) -> None:
    assert improvement_probability(scores, others).probability == expected
    assert improvement_probability(others, scores).probability == 1 - expected


def test_improvement_is_mann_and_whitneys_statistic() -> None:
    draw = np.random.default_rng(0)
    scores, others = draw.normal(0.5, 1.0, 9), draw.normal(0.0, 1.0, 7)
    expected = stats.mannwhitneyu(scores, others).statistic / 63
    assert improvement_probability(scores, others).probability == pytest.approx(expected)


def test_the_interval_of_an_improvement_written_out() -> None:
    """Resamples of (0, 1) against 1/2 are 0, 1/2, 1/2 or 1; what is apart stays so in every resample."""
    assert improvement_probability((0.0, 1.0), (0.5, 0.5)).interval == (0.0, 1.0)
    assert improvement_probability((2.0, 3.0), (0.0, 1.0)).interval == (1.0, 1.0)


def test_both_sides_are_resampled() -> None:
    """(0, 2) against (1, 3): P is a b, where a is the share of 2 and b that of 1. Both are 1 in 1/16 of resamples,
    more than 1/40; with one side as it is, P would never exceed 1/2.
    """
    found = improvement_probability((0.0, 2.0), (1.0, 3.0))
    assert (found.probability, found.interval) == (0.25, (0.0, 1.0))


def test_one_score_says_nothing_of_its_spread() -> None:
    assert improvement_probability((1.0,), (0.0, 0.5)).interval is None
    assert improvement_probability((1.0, 2.0), (0.0,)).interval is None


def test_no_scores_improve_on_nothing() -> None:
    with pytest.raises(ValueError, match="0 and 1 scores"):
        improvement_probability((), (1.0,))


# ---------------------------------------------------------------- curves


def test_area_under_a_curve_is_its_mean_height() -> None:
    assert area_under([(0, 0.0), (10, 1.0)]) == 0.5
    assert area_under([(0, 0.0), (10, 1.0), (40, 1.0)]) == pytest.approx(35 / 40)
    assert area_under([(5, 0.3), (25, 0.3)]) == pytest.approx(0.3)
    assert area_under([(7, 0.4)]) == 0.4


@pytest.mark.parametrize("points", [[(0, 1.0), (0, 2.0)], [(5, 1.0), (1, 1.0)]])
def test_a_curve_goes_forward(points: list[tuple[float, float]]) -> None:
    with pytest.raises(ValueError, match="must increase"):
        area_under(points)


def test_no_points_have_no_area() -> None:
    with pytest.raises(ValueError, match="no point"):
        area_under([])
