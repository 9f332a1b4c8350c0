"""Proposals drawn blindly from the config vocabulary: what a search is worth that learns nothing from its trainings."""

from __future__ import annotations

import random

from marlsmith.agents.offline.draft import Draft, optional_features, rules_for, showable
from marlsmith.schemas import (
    AnyFeature,
    AnyTerm,
    Approach,
    Assignment,
    Collision,
    Crowding,
    Native,
    Progress,
    Proposal,
    ProposalBrief,
    Reach,
    SlowNearTarget,
    TargetOffset,
    TeamDistance,
    TeamSuccess,
    UniqueCoverage,
    canonical,
)

MOST_TERMS, MOST_FEATURES = 4, 3
ATTEMPTS = 50


class RandomGenerator:
    """Reads of a brief what may be designed and what was tried: no parents, no scores, no diagnosis."""

    name = "random proposals"

    def propose(self, brief: ProposalBrief) -> list[Proposal]:
        """Proposals that differ; raises UserError where the task card gives nothing to design with."""
        first = brief.slots[0] if brief.slots else 1
        rng = random.Random(brief.seed ^ (first - 1))
        seen = {*brief.tried, *(canonical(refused.candidate.signal) for refused in brief.rejected)}
        parents: list[tuple[str, ...]] = [(refused.candidate.id,) for refused in brief.rejected]
        proposals: list[Proposal] = []
        for replaces in parents or [()] * brief.count:
            for _ in range(ATTEMPTS):
                signal = drawn(Draft.blank(brief.task, brief.scope, brief.evolve), rng).signal()
                if not signal.is_native and canonical(signal) not in seen:
                    break
            else:
                break
            seen.add(canonical(signal))
            kind = "repair" if replaces else "new"
            proposals.append(Proposal(signal=signal, kind=kind, parents=replaces, rationale="Drawn at random."))
        return proposals


def drawn(draft: Draft, rng: random.Random) -> Draft:
    """The blank draft with parts, weights and assignments drawn evenly, each for itself."""
    rules = rules_for(draft)
    if draft.designs_reward:
        draft.alpha = round(rng.uniform(0.1, 0.9), 2)
        terms = _terms(draft, rng, rules)
        draft.terms = rng.sample(terms, rng.randint(1, min(MOST_TERMS, len(terms))))
    if draft.designs_observation:
        features = _features(draft, rng, rules)
        draft.features = rng.sample(features, rng.randint(1, min(MOST_FEATURES, len(features)))) if features else []
    return draft


def _terms(draft: Draft, rng: random.Random, rules: tuple[Assignment, ...]) -> list[AnyTerm]:
    """One of each kind that the task has a meaning for."""
    card, reach, length = draft.card, draft.reach, draft.per_length

    def near() -> float:
        return round(reach * rng.choice([1, 2, 3]), 4)

    found: list[AnyTerm] = [
        Approach(
            assignment=rng.choice(rules),
            form=rng.choice(["linear", "squared", "exponential"]),
            scale=round(3 * reach, 4),
            weight=_weight(rng, length),
        ),
        Progress(assignment=rng.choice(rules), weight=_weight(rng, length)),
        Reach(assignment=rng.choice(rules), threshold=near(), weight=_weight(rng)),
        UniqueCoverage(credit=rng.choice(["agent", "team"]), threshold=near(), weight=_weight(rng)),
        TeamDistance(weight=_weight(rng, length)),
        TeamSuccess(threshold=near(), weight=_weight(rng)),
        Native(weight=_weight(rng)),
    ]
    if card.entity("agent").velocity is not None:
        found.append(SlowNearTarget(assignment=rng.choice(rules), threshold=near(), weight=_weight(rng)))
    if card.collide is not None and card.agents > 1:
        found.append(Collision(distance=card.collide, weight=_weight(rng)))
        found.append(Crowding(radius=round(1.5 * card.collide, 4), weight=_weight(rng)))
    return found


def _features(draft: Draft, rng: random.Random, rules: tuple[Assignment, ...]) -> list[AnyFeature]:
    found = optional_features(draft, rng.choice(rules))
    offset = TargetOffset(assignment=rng.choice(rules))
    return [*found, offset] if showable(offset, draft.card, draft.scope) else found


def _weight(rng: random.Random, about: float = 1.0) -> float:
    """A tenth to ten times a typical one."""
    return round(about * 10 ** rng.uniform(-1, 1), 3)
