"""The promotion gate: whether a candidate's gain over the control is believed. Pure functions of scores.

Higher scores are better. Scores of the control and of a candidate are paired by seed, in the same order.

The question. H0: the candidate's mean gain over the control is at most the margin. H1: it is more. One-sided, since
only gains lead to an action: where nothing is proven the control goes on, whether the candidate was as good or worse.

The pairs. Candidate and control of one seed leave the same checkpoint, with the same random numbers, and are scored on
the same episodes. What a seed has brought along (its networks, its luck so far) is in both scores and cancels.

Two conditions, both at the level of the test:

1. the lower bound of Student's t for the mean difference exceeds the margin: how large the gain is at least;
2. the exact sign-flip p-value is no higher than the level: how sure it is, under no distribution at all.

The second is there because the first alone was measured and found not to be honest for what sparse tasks give. Over
40,000 simulated nulls of 8 seeds at level .05 / 3 = .0167 the bound alone passed .018 of normal differences, but .036
of differences of +1 or -1, .027 where half of them are 0 and the others +1 or -1, .025 where every seed either learns
the task or does not; both together passed .014, .004, .002 and .002. Fewer seeds than `fewest_pairs` can never prove
anything to the second condition: then nothing passes, and the reason says so.

What no test of a few seeds can exclude are differences that are not symmetric: a candidate that gains a little in most
seeds and rarely loses much has a mean below the margin and still passes whenever the rare loss was not drawn (with a
loss in one seed of ten: in .43 of the tests of 8 seeds). Against such a one stand the confirmation, and the monitor
(monitor.py), which looks at the main run after every stage and rolls back.

Several candidates. A round's K candidates are each tested at level / K (Bonferroni), whatever their dependence through
the shared control: the chance that any of K nulls passes is at most the level. K counts all candidates of the round,
those that the race dropped (racing.py) or that failed included: they were looked at too.

The confirmation. A winner of a search is better on paper than in truth. So the finalists, those that passed, are
trained once more, with a control of their own, from the same checkpoint on random numbers and evaluation episodes that
the search has not seen, and tested once, at the level divided by their number.

The tournament. They are trained for longer than their branches were, since what is ahead early need not be so later
(measured: of three signals for one task the best after a sixth of the training was second at its end). Of those that
pass again the best, by its lower bound, is promoted: one promotion a round is all that the main run can take.

Why this bounds the errors. The random numbers of the confirmation are independent of the search, given the checkpoint:
whatever was tried, dropped, repeated or selected before, a null is promoted with a chance of at most `level`. As it
must have passed the gate too, a round of nulls promotes with a chance of about level^2 (.0025), twelve rounds with one
of about .03.

The price is power. A gain of EFFECT standard deviations of the paired difference, of 8 seeds, level .05 and K = 3,
passes the gate in .89, the confirmation in .98 and both in .87 of the trials (the bound alone would pass .92 of them
at the gate); one standard deviation passes both in .43. That is of one candidate with an effect among three, by these
statistics alone. `benchmarks/calibration.py` measures it with the functions of this file, and on trainings, where a
confirmation is as long as a branch and nothing abstains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from marlsmith.marl.statistics import PairedGain, fewest_pairs, paired_gain, sign_flip_p

EFFECT = 1.5
"""Gain, in standard deviations of the paired difference, that the whole path promotes in at least .8 of the trials."""


@dataclass(frozen=True)
class Trial:
    """A candidate's scores, one per seed, in the order of the control's."""

    candidate: str
    scores: tuple[float, ...]


class Judgement(NamedTuple):
    """What the statistics say of one candidate."""

    candidate: str
    passed: bool
    reason: str
    gain: PairedGain
    exact_p: float
    level: float
    """Of this one test, after the correction for their number."""


def gate(
    control: Sequence[float], trials: Sequence[Trial], *, level: float, margin: float, tests: int
) -> list[Judgement]:
    """A judgement of every trial, in their order.

    `tests` is the number of candidates of the round, or of finalists in its confirmation, those that were dropped or
    failed before their last seed included.
    """
    if tests < len(trials):
        raise ValueError(f"{len(trials)} trials are at least as many tests, not {tests}")
    return [_judged(control, trial, level / tests, margin) for trial in trials]


def passing(judgements: Sequence[Judgement]) -> list[Judgement]:
    """Those that passed, by their lower bounds, equals by id."""
    return sorted((one for one in judgements if one.passed), key=lambda one: (-one.gain.lower_bound, one.candidate))


def best(judgements: Sequence[Judgement]) -> Judgement | None:
    """The first of those that passed; None where none did."""
    return next(iter(passing(judgements)), None)


def leading(judgements: Sequence[Judgement]) -> Judgement:
    """The one with the highest lower bound, whether it passed or not; equals by id."""
    return min(judgements, key=lambda one: (-one.gain.lower_bound, one.candidate))


def _judged(control: Sequence[float], trial: Trial, level: float, margin: float) -> Judgement:
    gain = paired_gain(trial.scores, control, level)
    exact = sign_flip_p(trial.scores, control, margin)
    needed = fewest_pairs(level)
    bound = (
        f"the one-sided {1 - level:.1%} lower bound {gain.lower_bound:+.3f} of the mean gain {gain.mean:+.3f} "
        f"over {len(control)} seeds"
    )
    passed = gain.lower_bound > margin and exact <= level
    if passed:
        reason = f"{bound} exceeds the margin {margin:g} (exact p = {exact:.2g})"
    elif gain.lower_bound <= margin:
        reason = f"{bound} does not exceed the margin {margin:g}"
    elif len(control) < needed:
        reason = f"{len(control)} seeds cannot prove a gain at level {level:.2g}: it takes at least {needed}"
    else:
        reason = (
            f"{bound} exceeds the margin {margin:g}, but its signs may be chance: exact p = {exact:.2g} > {level:.2g}"
        )
    return Judgement(trial.candidate, passed, reason, gain, exact, level)
