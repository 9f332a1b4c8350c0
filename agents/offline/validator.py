"""The offline validator: rules that refuse a config which cannot be meant, and a gain that is not what it seems."""

from __future__ import annotations

from collections.abc import Sequence

from marlsmith.schemas import (
    Evaluation,
    ObservationConfig,
    PromotionBrief,
    Reach,
    Review,
    ReviewBrief,
    RewardConfig,
    Scope,
    Signal,
    TeamSuccess,
    UniqueCoverage,
)

SPEAKS_FOR_TARGETS = {"approach", "progress", "reach", "unique_coverage", "team_distance", "team_success"}
SPEAKS_FOR_SUCCESS = {"native", "team_success"}
EVERYWHERE = 20
"""Times the reach: a threshold so wide is met nearly everywhere, in all tasks of ours."""
DROWNS = 0.95


class OfflineValidator:
    """Before a training it judges configs only; code is for the checks, and for a validator that can read."""

    name = "offline validator"

    def review(self, brief: ReviewBrief) -> Review:
        signal = brief.candidate.signal
        problems = _foreign_eyes(signal, brief.scope)
        remarks = ["signs, credit and scope are consistent"]
        if isinstance(signal.reward, RewardConfig):
            problems = [*_reward_problems(signal.reward, brief), *problems]
            if all(term.kind in SPEAKS_FOR_SUCCESS for term in signal.reward.terms):
                what = "native one" if all(term.kind == "native" for term in signal.reward.terms) else "team's success"
                remarks.append(f"but the reward is the {what} alone, which teaches nothing where it is rare")
        if problems:
            return Review(approve=False, reasons=tuple(problems))
        return Review(approve=True, reasons=tuple(remarks))

    def confirm(self, brief: PromotionBrief) -> Review:
        """The score comes from episodes that no candidate touches, so little can be wrong with a proven gain."""
        gain = brief.verdict.gain or 0.0
        problems = [*_hacking(brief.evaluation, gain), *_foreign_eyes(brief.candidate.signal, brief.scope)]
        if problems:
            return Review(approve=False, reasons=tuple(problems))
        return Review(approve=True, reasons=("score and shaped return do not part ways", *_drowned(brief.evaluation)))


def _foreign_eyes(signal: Signal, scope: Scope) -> list[str]:
    observation = signal.observation
    if isinstance(observation, ObservationConfig) and scope == "own" and observation.scope == "team":
        return ["it reads other agents' observations, which deployment will not have"]
    return []


def _hacking(evaluation: Evaluation, gain: float) -> list[str]:
    """The score fell in the training by more than all that was gained, while what is paid for rose.

    In means over thirds of the curve, the last one against the better of the others: single points are noisy.
    """
    third = len(evaluation.curve) // 3
    if third == 0:
        return []
    curve = evaluation.curve
    *earlier, last = (
        (_mean([point.score for point in part]), _mean([point.shaped_return for point in part]))
        for part in (curve[:third], curve[third:-third], curve[-third:])
    )
    score, shaped = max(earlier)
    if score - last[0] <= gain or last[1] <= shaped:
        return []
    return [
        f"the shaped return rose from {shaped:.4g} to {last[1]:.4g} in its training while the score fell from "
        f"{score:.4g} to {last[0]:.4g}, by more than the gain of {gain:.4g}"
    ]


def _drowned(evaluation: Evaluation) -> list[str]:
    loud = [name for name, term in evaluation.terms.items() if term.share > DROWNS and len(evaluation.terms) > 1]
    return [f"the term {name} makes up nearly all of the reward: the others may go" for name in loud]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _reward_problems(reward: RewardConfig, brief: ReviewBrief) -> list[str]:
    problems = [
        f"{term.kind} has weight {term.weight:g}: it would pay for the opposite of the task"
        for term in reward.terms
        if term.weight < 0
    ]
    problems += _farms(reward, brief)
    if all(term.weight == 0 for term in reward.terms):
        problems.append("all weights are zero: nothing can be learned")
    local = any(term.credit == "agent" for term in reward.terms)
    shared = any(term.credit == "team" for term in reward.terms)
    if local and shared and reward.alpha in (0.0, 1.0):
        idle = "team" if reward.alpha == 1.0 else "agent"
        problems.append(f"alpha {reward.alpha:g} switches the {idle} terms off: drop them or move alpha inside 0..1")
    if brief.reward_mode == "replace" and not any(
        term.kind in SPEAKS_FOR_TARGETS | {"native"} for term in reward.terms
    ):
        problems.append("only penalties, and the native reward is replaced: nothing speaks for the targets")
    return problems


def _farms(reward: RewardConfig, brief: ReviewBrief) -> list[str]:
    """Bonuses of each step that can be had without the task's being done."""
    card = brief.task
    bonuses = [
        term
        for term in reward.terms
        if isinstance(term, Reach | UniqueCoverage | TeamSuccess) and term.weight > 0 and not term.potential
    ]
    wide = [
        f"{bonus.kind} pays within {bonus.threshold:g}, which is nearly everywhere: a target counts as reached at "
        f"{card.reach:g}"
        for bonus in bonuses
        if card.reach is not None and bonus.threshold >= EVERYWHERE * card.reach
    ]
    eating_pays = brief.reward_mode == "add" or any(t.kind == "native" and t.weight > 0 for t in reward.terms)
    spared = [
        f"{bonus.kind} pays in each step beside a target, and targets vanish when they are collected: sparing them "
        "earns more (make it potential-based, or keep the native reward beside it)"
        for bonus in bonuses
        if card.vanishes and not eating_pays and not isinstance(bonus, TeamSuccess)
    ]
    return [*wide, *spared]
