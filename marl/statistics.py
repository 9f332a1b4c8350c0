"""Statistics over seeds: one score per seed, higher is better. On scipy, torch-free."""

from __future__ import annotations

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


def paired_gain(candidate_scores: Sequence[float], control_scores: Sequence[float], level: float) -> PairedGain:
    """Student's t over the paired differences d_s = candidate_s - control_s of scores [seeds], [seeds].

    `interval` is two-sided at 95%; `lower_bound` is the one-sided bound of the mean at `level`:
    mean(d) - t(1 - level, n - 1) * std(d) / sqrt(n). `p_value` is for mean(d) <= 0, one-sided.
    """
    if len(candidate_scores) != len(control_scores):
        raise ValueError(f"{len(candidate_scores)} scores cannot be paired with {len(control_scores)}")
    if len(candidate_scores) < 2:
        raise ValueError("a paired comparison needs at least two seeds")
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
