"""The offline validator: rules that refuse a config which cannot be meant, before it costs a training."""

from __future__ import annotations

from marlsmith.schemas import ObservationConfig, Review, ReviewBrief, RewardConfig

SPEAKS_FOR_TARGETS = {"approach", "progress", "reach", "unique_coverage", "team_distance", "team_success"}


class OfflineValidator:
    """Judges configs only; code is for the checks, and for a validator that can read."""

    name = "offline validator"

    def review(self, brief: ReviewBrief) -> Review:
        signal = brief.candidate.signal
        problems: list[str] = []
        remarks = ["signs, credit and scope are consistent"]
        if isinstance(signal.reward, RewardConfig):
            problems += _reward_problems(signal.reward, brief)
            if all(term.kind == "native" for term in signal.reward.terms):
                remarks.append("but the reward is the native one alone, which teaches nothing where it is rare")
        if (
            isinstance(signal.observation, ObservationConfig)
            and brief.scope == "own"
            and signal.observation.scope == "team"
        ):
            problems.append("it reads other agents' observations, which deployment will not have")
        if problems:
            return Review(approve=False, reasons=tuple(problems))
        return Review(approve=True, reasons=tuple(remarks))


def _reward_problems(reward: RewardConfig, brief: ReviewBrief) -> list[str]:
    problems = [
        f"{term.kind} has weight {term.weight:g}: it would pay for the opposite of the task"
        for term in reward.terms
        if term.weight < 0 and term.kind != "native"
    ]
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
