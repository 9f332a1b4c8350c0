"""Statistics over seeds: one score per seed, higher is better. On scipy, torch-free."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats


def iqm(scores: Sequence[float]) -> float:
    """Interquartile mean of scores [seeds]: the mean without the lowest and the highest quarter.

    Agarwal et al. 2021, section 4.3. With fewer than four seeds it is the mean.
    """
    if len(scores) == 0:
        raise ValueError("iqm of no score")
    return float(stats.trim_mean(np.asarray(scores, dtype=np.float64), 0.25))


def bootstrap_interval(scores: Sequence[float], confidence: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """Percentile bootstrap interval of the interquartile mean of scores [seeds]; one point for one seed."""
    return stratified_interval([scores], confidence, seed)


def stratified_interval(
    scores: Sequence[Sequence[float]], confidence: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the interquartile mean over all scores [strata][seeds of the stratum].

    Strata (tasks, for instance) are resampled each by itself, so that every resample has as many scores of each
    as there are, and the mean is over all of them together (Agarwal et al. 2021, section 4.2 and 4.3). A stratum
    of one seed, or of equal scores, does not vary; where none varies the interval is a point.
    """
    strata = [np.asarray(one, dtype=np.float64) for one in scores]
    if not strata or any(len(one) == 0 for one in strata):
        raise ValueError(f"an interval needs a score in every stratum, and they have {[len(one) for one in strata]}")
    fixed = np.concatenate([np.empty(0), *(one for one in strata if np.ptp(one) == 0)])
    varying = [one for one in strata if np.ptp(one) > 0]
    if not varying:
        centre = iqm(fixed.tolist())
        return centre, centre

    def centres(*resampled: np.ndarray, axis: int) -> np.ndarray:
        constant = np.broadcast_to(fixed, (*resampled[0].shape[:-1], len(fixed)))
        return np.asarray(stats.trim_mean(np.concatenate((*resampled, constant), -1), 0.25, axis=-1))

    found = stats.bootstrap(
        varying,
        centres,
        n_resamples=2000,
        confidence_level=confidence,
        method="percentile",
        vectorized=True,
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(found.low), float(found.high)


@dataclass(frozen=True)
class PairedGain:
    """How much a candidate is above the control, both under the same seeds."""

    mean: float
    interval: tuple[float, float]
    lower_bound: float
    p_value: float


def _require_pairs(candidate_scores: Sequence[float], control_scores: Sequence[float]) -> None:
    if len(candidate_scores) != len(control_scores):
        raise ValueError(f"{len(candidate_scores)} scores cannot be paired with {len(control_scores)}")
    if len(candidate_scores) < 2:
        raise ValueError("a paired comparison needs at least two seeds")


def paired_gain(candidate_scores: Sequence[float], control_scores: Sequence[float], level: float) -> PairedGain:
    """Student's t over the paired differences d_s = candidate_s - control_s of scores [seeds], [seeds].

    `interval` is two-sided at 95%; `lower_bound` is the one-sided bound of the mean at `level`:
    mean(d) - t(1 - level, n - 1) * std(d) / sqrt(n). `p_value` is for mean(d) <= 0, one-sided.
    """
    _require_pairs(candidate_scores, control_scores)
    differences = np.asarray(candidate_scores, dtype=np.float64) - np.asarray(control_scores, dtype=np.float64)
    mean = float(differences.mean())
    if np.ptp(differences) == 0:
        # No spread to judge by: the sign test does, so that two equal differences are no proof and five are.
        p_value = 0.5 ** len(differences) if mean > 0 else 1.0
        proven = p_value <= level
        interval = (mean, mean) if proven else (min(mean, 0.0), max(mean, 0.0))
        return PairedGain(mean, interval, mean if proven else min(mean, 0.0), p_value)
    test = stats.ttest_1samp(differences, 0.0, alternative="greater")
    error = float(stats.sem(differences))
    freedom = len(differences) - 1
    reach = error * float(stats.t.ppf(0.975, freedom))
    bound = mean - error * float(stats.t.ppf(1 - level, freedom))
    return PairedGain(mean, (mean - reach, mean + reach), bound, float(test.pvalue))


@dataclass(frozen=True)
class Improvement:
    """How often one is above another, two-sided 95% interval; None where a side is one score, which says nothing of
    its spread.
    """

    probability: float
    interval: tuple[float, float] | None


RESAMPLES = 2000


def improvement_probability(scores: Sequence[float], others: Sequence[float], seed: int = 0) -> Improvement:
    """P(X > Y): how often a score of X [n] is above one of Y [m], where both are drawn by themselves.

    The mean over all n x m pairs of S(x, y), which is 1 for x > y, 1/2 for x = y and 0 for x < y: the statistic of
    Mann and Whitney, divided by n m (Agarwal et al. 2021, section 4.3). The interval is the percentile bootstrap's,
    with X and Y resampled each by itself. Nothing is paired: seeds that both have in common make it wider than need
    be, never the probability wrong.
    """
    first, second = np.asarray(scores, dtype=np.float64), np.asarray(others, dtype=np.float64)
    if len(first) == 0 or len(second) == 0:
        raise ValueError(f"no probability from {len(first)} and {len(second)} scores")

    def above(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        x, y = x[..., :, None], y[..., None, :]
        return np.asarray(((x > y) + 0.5 * (x == y)).mean((-2, -1)))

    probability = float(above(first, second))
    if min(len(first), len(second)) < 2:
        return Improvement(probability, None)
    rng = np.random.default_rng(seed)
    resampled = [above(rng.choice(first, len(first)), rng.choice(second, len(second))) for _ in range(RESAMPLES)]
    low, high = np.quantile(resampled, (0.025, 0.975))
    return Improvement(probability, (float(low), float(high)))


# ---------------------------------------------------------------- proof without a distribution

MOST_FLIPS = 20_000
"""Up to 14 pairs every way to turn signs is counted, beyond that so many are drawn."""


def sign_flip_p(candidate_scores: Sequence[float], control_scores: Sequence[float], margin: float = 0.0) -> float:
    """One-sided exact p-value for paired scores [seeds], [seeds]: the gain is no more than the margin.

    Where candidate and control differ by chance alone, d_s = candidate_s - control_s - margin is as likely as -d_s,
    so p is the share of the 2^n ways to turn signs whose mean is at least the observed one (Fisher 1935, section
    21). It assumes no distribution. Differences of zero count for neither side: with k others it is at least 2^-k.
    """
    _require_pairs(candidate_scores, control_scores)
    pair = np.asarray([candidate_scores, control_scores], dtype=np.float64)
    largest = max(float(np.abs(pair).max()), abs(margin)) or 1.0

    def total(turned: np.ndarray, axis: int = -1) -> np.ndarray:
        # Sums that differ by rounding alone are equal; a power of ten keeps decimal scores away from halves.
        return np.asarray(np.round(turned.sum(axis) / 10.0 ** math.ceil(math.log10(largest)), 9))

    found = stats.permutation_test(
        (pair[0] - pair[1] - margin,),
        total,
        vectorized=True,
        permutation_type="samples",
        alternative="greater",
        n_resamples=MOST_FLIPS,
        batch=2000,
        rng=np.random.default_rng(0),
    )
    return float(found.pvalue)


def fewest_pairs(level: float) -> int:
    """How many paired seeds it takes before `sign_flip_p` can be as low as the level: 5 for .05, 6 for .05 / 3."""
    return math.ceil(math.log2(1 / level))


def proportion_interval(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Two-sided interval of a proportion that holds at least as often as it says (Clopper & Pearson 1934)."""
    found = stats.binomtest(successes, trials).proportion_ci(confidence, method="exact")
    return float(found.low), float(found.high)


def rank_correlation(pairs: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
    """Spearman's correlation of pairs [n, 2] and its one-sided permutation p; None where either side is constant.

    Needs two pairs or more. All orders are counted up to 7 pairs, beyond that some thousands are drawn.
    """
    first, second = np.asarray(pairs, dtype=np.float64).reshape(-1, 2).T
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    ranks, others = stats.rankdata(first), stats.rankdata(second)
    rho = float(np.corrcoef(ranks, others)[0, 1])

    def agreement(order: np.ndarray, axis: int = -1) -> np.ndarray:
        return np.asarray((order * others).sum(axis))

    found = stats.permutation_test(
        (ranks,),
        agreement,
        permutation_type="pairings",
        alternative="greater",
        n_resamples=math.factorial(7),
        vectorized=True,
        rng=np.random.default_rng(0),
    )
    return rho, float(found.pvalue)


# ---------------------------------------------------------------- learning curves


def area_under(points: Sequence[tuple[float, float]]) -> float:
    """Mean height of a curve through points (steps, score) [points], by trapezoids: the score of a typical moment.

    The steps must increase. One point is its own height.
    """
    steps, scores = np.asarray(points, dtype=np.float64).reshape(-1, 2).T
    if len(steps) == 0:
        raise ValueError("the area under no point")
    if np.any(np.diff(steps) <= 0):
        raise ValueError(f"the steps of a curve must increase, and they are {steps.tolist()}")
    if len(steps) == 1:
        return float(scores[0])
    return float(np.trapezoid(scores, steps) / (steps[-1] - steps[0]))
