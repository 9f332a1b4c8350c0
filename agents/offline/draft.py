"""A signal on the drawing board: the two configs as plain lists that edits may change."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from marlsmith.schemas import (
    AgentDistances,
    AnyFeature,
    AnyTerm,
    Approach,
    Assignment,
    Collision,
    Crowding,
    NearestAgentOffset,
    ObservationConfig,
    Progress,
    Reach,
    RewardConfig,
    Scope,
    Signal,
    SlowNearTarget,
    Speed,
    TargetClaims,
    TargetDistance,
    TargetDistances,
    TargetIndex,
    TargetOffset,
    TaskCard,
    TeamDistance,
    TeammateObservations,
    TeamSuccess,
    ThresholdMargin,
    UniqueCoverage,
)

MOST_PARTS = 8
"""Terms or features of a draft: more than a reader takes in teaches nobody anything."""

LEAST_WEIGHT, MOST_WEIGHT = 0.05, 20.0


@dataclass
class Draft:
    """Which parts may be designed is fixed from the start: an empty list leaves that part native."""

    card: TaskCard
    scope: Scope
    designs_reward: bool
    designs_observation: bool
    alpha: float = 0.5
    terms: list[AnyTerm] = field(default_factory=list)
    features: list[AnyFeature] = field(default_factory=list)

    def load(self, signal: Signal) -> Draft:
        """Takes over what is config; a part that is code cannot be edited without a model and is left out."""
        if self.designs_reward and isinstance(signal.reward, RewardConfig):
            self.alpha, self.terms = signal.reward.alpha, list(signal.reward.terms)
        if self.designs_observation and isinstance(signal.observation, ObservationConfig):
            self.features = list(signal.observation.features)
        return self

    def signal(self) -> Signal:
        reads_team = any(feature.kind == "teammate_observations" for feature in self.features)
        return Signal(
            reward=RewardConfig(alpha=self.alpha, terms=tuple(self.terms)) if self.terms else None,
            observation=ObservationConfig(scope="team" if reads_team else "own", features=tuple(self.features))
            if self.features
            else None,
        )

    def add_term(self, term: AnyTerm) -> None:
        """Adds it, or puts it in the place of its like."""
        alike = [i for i, old in enumerate(self.terms) if _same_purpose(old, term)]
        if alike:
            self.terms[alike[0]] = term
        elif self.designs_reward and len(self.terms) < MOST_PARTS:
            self.terms.append(term)

    def add_feature(self, feature: AnyFeature) -> None:
        if self.designs_observation and len(self.features) < MOST_PARTS and feature not in self.features:
            self.features.append(feature)

    def assign(self, rule: Assignment) -> None:
        """One assignment for the whole signal: a reward for one target and features of another work against it."""
        self.terms = [t.model_copy(update={"assignment": rule}) if hasattr(t, "assignment") else t for t in self.terms]
        features = [f.model_copy(update={"assignment": rule}) if hasattr(f, "assignment") else f for f in self.features]
        self.features = list(dict.fromkeys(features))

    def rule(self) -> Assignment:
        """The assignment in use."""
        for part in [*self.terms, *self.features]:
            rule: Assignment | None = getattr(part, "assignment", None)
            if rule is not None:
                return rule
        return "nearest"


def _same_purpose(a: AnyTerm, b: AnyTerm) -> bool:
    return a.kind == b.kind and a.credit == b.credit and getattr(a, "threshold", None) == getattr(b, "threshold", None)


def weight(rng: random.Random, about: float) -> float:
    """A weight around a typical one, by a factor of about 2 up or down."""
    return round(about * 2 ** rng.gauss(0, 0.7), 3)


def fresh(draft: Draft, rule: Assignment, rng: random.Random) -> Draft:
    """A first design around one assignment: go there, be paid for arriving, and see where to go."""
    reach = draft.card.reach
    if draft.designs_reward:
        draft.alpha = rng.choice([0.4, 0.5, 0.6, 0.7])
        form = rng.choice(["linear", "linear", "exponential", "squared"])
        draft.add_term(Approach(assignment=rule, form=form, weight=weight(rng, 1.0), scale=round(3 * reach, 3)))
        draft.add_term(Reach(assignment=rule, threshold=reach, weight=weight(rng, 1.0)))
        extras: list[AnyTerm] = [
            UniqueCoverage(credit="team", threshold=reach, weight=weight(rng, 2.0)),
            TeamDistance(weight=weight(rng, 1.0)),
            TeamSuccess(threshold=reach, weight=weight(rng, 2.0)),
            Progress(assignment=rule, weight=weight(rng, 5.0)),
            Collision(distance=draft.card.collide, weight=weight(rng, 0.3)),
        ]
        for term in rng.sample(extras, 2):
            draft.add_term(term)
    if draft.designs_observation:
        draft.add_feature(TargetOffset(assignment=rule))
        for feature in rng.sample(optional_features(draft, rule), 2):
            draft.add_feature(feature)
    return draft


def optional_features(draft: Draft, rule: Assignment) -> list[AnyFeature]:
    """The features that this task's observation can yield."""
    card = draft.card
    found: list[AnyFeature] = [
        TargetDistance(assignment=rule),
        TargetIndex(assignment=rule),
        ThresholdMargin(assignment=rule, threshold=card.reach),
        TargetDistances(),
    ]
    if card.part("offset", "agent") is not None:
        found += [TargetClaims(), AgentDistances(), NearestAgentOffset()]
    if card.part("velocity", "self") is not None:
        found.append(Speed())
    if draft.scope == "team":
        found.append(TeammateObservations())
    return found


# ---------------------------------------------------------------- edits: small changes with a purpose

Edit = Callable[[Draft, random.Random], str | None]
"""Changes the draft and says what was done and why; None where there was nothing to change."""


def give_each_its_target(draft: Draft, rng: random.Random) -> str | None:
    rules: list[Assignment] = [rule for rule in ("optimal", "own") if rule != draft.rule()]
    draft.assign(rng.choice(rules))
    return f"gives each agent a target of its own ({draft.rule()} assignment), against overlap"


def pay_unique_coverage(draft: Draft, rng: random.Random) -> str | None:
    draft.add_term(UniqueCoverage(credit="team", threshold=draft.card.reach, weight=weight(rng, 2.0)))
    return "pays the team for each target that is covered, once"


def show_claims(draft: Draft, rng: random.Random) -> str | None:
    if draft.card.part("offset", "agent") is None:
        return None
    draft.add_feature(TargetClaims())
    return "shows each agent which targets it is the nearest to"


def pull_harder(draft: Draft, rng: random.Random) -> str | None:
    draft.add_term(Approach(assignment=draft.rule(), weight=weight(rng, 2.0)))
    draft.add_feature(TargetOffset(assignment=draft.rule()))
    return "pulls harder towards the assigned target, and shows where it is"


def pay_progress(draft: Draft, rng: random.Random) -> str | None:
    draft.add_term(Progress(assignment=draft.rule(), weight=weight(rng, 5.0)))
    return "pays each step that brings the target nearer"


def pay_arrival(draft: Draft, rng: random.Random) -> str | None:
    draft.add_term(Reach(assignment=draft.rule(), threshold=draft.card.reach, weight=weight(rng, 3.0)))
    return "raises the bonus for standing within reach of the target"


def pay_wide_arrival(draft: Draft, rng: random.Random) -> str | None:
    threshold = round(draft.card.reach * rng.choice([2, 3]), 4)
    draft.add_term(Reach(assignment=draft.rule(), threshold=threshold, weight=weight(rng, 0.5)))
    return f"adds a smaller bonus at {threshold:g}, so that the last stretch has a slope"


def slow_down(draft: Draft, rng: random.Random) -> str | None:
    draft.add_term(
        SlowNearTarget(assignment=draft.rule(), threshold=round(2 * draft.card.reach, 4), weight=weight(rng, 0.5))
    )
    return "charges for speed near the target, so that agents stay there"


def show_margin(draft: Draft, rng: random.Random) -> str | None:
    draft.add_feature(ThresholdMargin(assignment=draft.rule(), threshold=draft.card.reach))
    return "shows how far inside the reach the agent is"


def charge_collisions(draft: Draft, rng: random.Random) -> str | None:
    draft.add_term(Collision(distance=draft.card.collide, weight=weight(rng, 0.5)))
    return "charges for collisions"


def charge_crowding(draft: Draft, rng: random.Random) -> str | None:
    draft.add_term(Crowding(radius=round(1.5 * draft.card.collide, 4), weight=weight(rng, 0.5)))
    return "charges for standing close before it comes to a collision"


def favour_the_individual(draft: Draft, rng: random.Random) -> str | None:
    if not draft.terms:
        return None
    draft.alpha = round(min(1.0, draft.alpha + rng.uniform(0.1, 0.3)), 2)
    return f"gives the individual part more weight (alpha {draft.alpha:g}): own deeds show in own reward"


def soften(draft: Draft, rng: random.Random) -> str | None:
    if not draft.terms:
        return None
    draft.terms = [_reweighed(term, 0.6) for term in draft.terms]
    return "softens all terms"


def drop_strongest(draft: Draft, rng: random.Random) -> str | None:
    if len(draft.terms) < 2:
        return None
    strongest = max(draft.terms, key=lambda term: abs(term.weight))
    draft.terms.remove(strongest)
    return f"drops its strongest term, {strongest.kind}"


def tune_weights(draft: Draft, rng: random.Random) -> str | None:
    if not draft.terms:
        return None
    draft.terms = [_reweighed(term, 2 ** rng.gauss(0, 0.5)) for term in draft.terms]
    draft.alpha = round(min(0.9, max(0.1, draft.alpha + rng.gauss(0, 0.1))), 2)
    return "tunes the weights"


def reshape_approach(draft: Draft, rng: random.Random) -> str | None:
    for index, term in enumerate(draft.terms):
        if isinstance(term, Approach):
            form = rng.choice([form for form in ("linear", "squared", "exponential") if form != term.form])
            draft.terms[index] = term.model_copy(update={"form": form})
            return f"makes the approach {form}"
    return None


def drop_feature(draft: Draft, rng: random.Random) -> str | None:
    if len(draft.features) < 2:
        return None
    gone = draft.features.pop(rng.randrange(1, len(draft.features)))
    return f"drops the feature {gone.kind}"


def add_some_feature(draft: Draft, rng: random.Random) -> str | None:
    if not draft.designs_observation:
        return None
    feature = rng.choice(optional_features(draft, draft.rule()))
    draft.add_feature(feature)
    return f"adds the feature {feature.kind}"


def _reweighed(term: AnyTerm, factor: float) -> AnyTerm:
    size = min(MOST_WEIGHT, max(LEAST_WEIGHT, abs(term.weight) * factor))
    return term.model_copy(update={"weight": round(size if term.weight >= 0 else -size, 3)})


GENERAL_EDITS: tuple[Edit, ...] = (
    tune_weights,
    reshape_approach,
    add_some_feature,
    drop_feature,
    pay_unique_coverage,
    pay_wide_arrival,
    favour_the_individual,
    slow_down,
)
