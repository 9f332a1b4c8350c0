"""After each stage: has the main run fallen below its last good checkpoint, and does the signal still pay for it?

The score is the task's own, on fresh episodes that no decision has seen, paired by seed. It has fallen where the
one-sided lower bound of the drop is above zero and the exact sign-flip p-value is no higher than the level, as at the
gate (gate.py says why both). The shaped return tells the two kinds apart:

- reward hacking: the score fell and the shaped return rose. The policy earns more and does worse, so the signal is at
  fault;
- collapse: the score fell and the shaped return did not rise. The training is at fault, whatever the signal.

Shaped returns can be compared only under one signal and one weight of it. So both are those of the present stage, from
its first to its last rollout, before any fade of its weight.

A false alarm costs a stage of training, and there are many looks. Where nothing changes, six looks at level .05 gave
one in .21 of 250 simulated runs against the stage before, and in .45 against the best stage so far, since the highest
of several noisy scores is too high; at .05 / 6 it was .04 and .08. So a caller that looks S times says level / S.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from marlsmith.marl.statistics import paired_gain, sign_flip_p


@dataclass(frozen=True)
class Alarm:
    """Why the main run goes back to its last good checkpoint."""

    kind: Literal["reward hacking", "collapse"]
    drop: float
    """Mean of the paired differences: score at the last good checkpoint minus score now."""
    reason: str


def hacked(
    last_good: Sequence[float], now: Sequence[float], shaped_then: float, shaped_now: float, *, level: float
) -> Alarm | None:
    """An alarm where the scores [seeds] of now are proven lower than those of the last good checkpoint, else None."""
    fall = paired_gain(last_good, now, level)
    if fall.lower_bound <= 0 or sign_flip_p(last_good, now) > level:
        return None
    fell = (
        f"the score fell by {fall.mean:.3f} below the last good checkpoint (over {len(now)} seeds, by at least "
        f"{fall.lower_bound:.3f} at one-sided {1 - level:.1%})"
    )
    course = f"the shaped return went from {shaped_then:.3g} to {shaped_now:.3g}"
    if shaped_now > shaped_then:
        return Alarm("reward hacking", fall.mean, f"{fell} while {course}: the signal pays for something else")
    return Alarm("collapse", fall.mean, f"{fell} and {course}: the training broke down")


@dataclass(frozen=True)
class PeakAndFinal:
    """Both ends of a curve that a report owes its reader."""

    peak: float
    peak_steps: float
    final: float

    @property
    def drop(self) -> float:
        return self.peak - self.final


def peak_and_final(curve: Sequence[tuple[float, float]]) -> PeakAndFinal:
    """Of points (steps, score), in the order of time: the highest score, first where equal, and the last."""
    if not curve:
        raise ValueError("a curve without points has no peak")
    steps, peak = max(curve, key=lambda point: point[1])
    return PeakAndFinal(peak, steps, curve[-1][1])
