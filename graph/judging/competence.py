"""Whether the ranks of short branches say anything about the longer run; where they do not, the gate abstains.

A branch is a short look ahead. The gate asks whether a candidate's gain at its end is real; it cannot ask whether that
gain lasts. So for the candidates of the run so far, the gains at an earlier horizon are set against those at a longer
one, and their rank correlation (Spearman) is shown: were the early ranks chance, branches would be no ground to decide
on, however many seeds they have.

What it shows. A correlation near zero or below, over candidates that differ at all: choosing by the shorter horizon
would have been choosing by lot, or worse, so there is no reason to think better of the branch against the main run.

What it does not show. Both horizons belong to the same training, so they share its luck, and a correlation is easily
had: it is no proof that the branch predicts the end of the main run. Candidates of later rounds descend from earlier
ones and are not independent, so the p-value is for show. With few candidates the estimate is coarse: of 4 pairs one
order in 24 has a correlation of 1. It is a guard against the worst, and not a second gate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from marlsmith.marl.statistics import rank_correlation

FEWEST_PAIRS = 4
"""With fewer candidates nothing is known."""


@dataclass(frozen=True)
class Competence:
    """How well early gains order the later ones."""

    correlation: float | None
    """Spearman's, -1..1; None with too few pairs, or where all gains of one horizon are equal."""
    p_value: float | None
    """One-sided, by permutation: an order at least as good, by lot."""
    pairs: int

    @property
    def known(self) -> bool:
        return self.correlation is not None

    @property
    def words(self) -> str:
        """For people and for the trace."""
        if self.correlation is None:
            enough = self.pairs >= FEWEST_PAIRS
            few = f"pairs so far: {self.pairs}, needed: {FEWEST_PAIRS}"
            equal = f"all {self.pairs} candidates gain the same at one of the horizons"
            return (
                f"whether branches predict longer training is not known yet ({equal if enough else few}), so the gate "
                "rests on its own statistics"
            )
        return (
            f"the rank correlation between earlier and later gains of {self.pairs} candidates is "
            f"{self.correlation:+.2f} (p = {self.p_value:.2g})"
        )


def competence(pairs: Sequence[tuple[float, float]]) -> Competence:
    """From (gain at the earlier horizon, gain at the longer one), one pair a candidate."""
    found = rank_correlation(pairs) if len(pairs) >= FEWEST_PAIRS else None
    correlation, p_value = found or (None, None)
    return Competence(correlation, p_value, len(pairs))


def informative(competence: Competence, threshold: float) -> bool:
    """Whether the gate may go by branch ranks: False where they are known to say nothing, and then it abstains.

    While too little is known there is no ground to abstain on. Nor is there where the correlation is undefined: that
    all gains are still equal at the earlier horizon, as on a sparse task before the first success, does not speak
    against the longer one; and where all are equal at the longer one none can pass the gate.
    """
    return competence.correlation is None or competence.correlation > threshold
