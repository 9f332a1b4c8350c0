"""Racing over seeds: hopeless candidates stop after their first heat, and what that costs is measured.

After the first heat of all candidates a candidate is dropped whose gain so far leaves no hope (successive elimination:
Maron & Moore 1994, Birattari et al. 2002). They drop what is proven to be worse; with four seeds next to nothing is
ever proven, so by default this race drops what has no gain at all: a rule of futility, as trials are stopped at half
their information (Lan, Simon & Halperin 1982). It can only withhold promotions, never cause one, so the gate's level is
not touched by it, as long as the dropped count among its tests.

Measured, 4 seeds of 8, level .05, K = 3: the rule drops half of the nulls; of candidates whose gain is 1.5 standard
deviations of the paired difference .001, of one standard deviation .023, and in 40,000 simulations of each none of
them would have passed the gate with all its seeds. Where half of the seeds show nothing at all (a sparse task before
anybody has learned it) the drop is not even a guess: the exact test cannot pass any more.

A share of the dropped is trained to the end all the same, for the audit: how many of them pass the gate after all? The
gate may promote such a one like any other, for its test is one of the K; for the race it is one that it missed.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

RACE_LEVEL = 0.5
"""Chance of dropping a candidate whose gain is exactly the margin."""


def hopeless(
    control: Sequence[float], candidate: Sequence[float], *, margin: float, level: float = RACE_LEVEL
) -> str | None:
    """Why a candidate is dropped after these paired scores; None where it goes on.

    It is dropped where the one-sided upper bound of its mean gain, at `level`, is no more than the margin. At .5 the
    bound is the mean gain itself; at .05 only what is proven to be no better is dropped.
    """
    differences = np.asarray(candidate, dtype=np.float64) - np.asarray(control, dtype=np.float64)
    seeds, mean = len(differences), float(differences.mean())
    reach = 0.0
    if level != 0.5 and seeds > 1:
        reach = float(stats.sem(differences) * stats.t.ppf(1 - level, seeds - 1))
    if mean + reach > margin:
        return None
    over = f"over the first {seeds} seeds"
    if not differences.any():
        return f"no gain and no loss in any of the first {seeds} seeds"
    if reach == 0:
        return f"the mean gain {mean:+.3f} {over} does not exceed the margin {margin:g}"
    return (
        f"even the upper bound {mean + reach:+.3f} of the mean gain {mean:+.3f} {over} "
        f"does not exceed the margin {margin:g}"
    )


def audited(dropped: Collection[str], share: float, seed: int) -> list[str]:
    """Those of the dropped that are trained to the end all the same: each with the chance `share`, sorted.

    The same for the same candidates and seed, in whatever order they come.
    """
    draw = random.Random(seed)
    return [candidate for candidate in sorted(dropped) if draw.random() < share]


@dataclass(frozen=True)
class RaceCost:
    """What racing saved and what it may have missed; costs of rounds add up."""

    dropped: int = 0
    audited: int = 0
    missed: int = 0
    """Of the audited: how many passed the gate after all."""
    steps_saved: int = 0
    """Environment steps of all seeds together that were not trained."""
    steps_audited: int = 0
    """Environment steps that the audit took."""

    def __add__(self, other: RaceCost) -> RaceCost:
        return RaceCost(
            self.dropped + other.dropped,
            self.audited + other.audited,
            self.missed + other.missed,
            self.steps_saved + other.steps_saved,
            self.steps_audited + other.steps_audited,
        )
