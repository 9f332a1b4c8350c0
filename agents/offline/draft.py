"""A signal on the drawing board: the two configs as plain lists that edits may change."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from marlsmith.schemas import (
    MOST_TEAMMATE_COLUMNS,
    AgentDistances,
    AnyFeature,
    AnyTerm,
    Approach,
    Assignment,
    Collision,
    Crowding,
    Native,
    NearestAgentOffset,
    ObservationConfig,
    ObservationPart,
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
    UserError,
)

MOST_PARTS = 8
"""Terms or features of a draft: more than a reader takes in teaches nobody anything."""

LEAST_WEIGHT, MOST_WEIGHT = 0.05, 20.0
TYPICAL_REACH = 0.1
"""Typical weights of terms in units of length are meant for this reach; they grow as a task's own is smaller."""

MOST_ALPHA = 0.9
"""Beyond it the team's terms hardly count, and below 1 - MOST_ALPHA those of the agents."""


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

    @classmethod
    def blank(cls, card: TaskCard, scope: Scope, evolve: Literal["reward", "observation", "both"]) -> Draft:
        """An empty draft of what is to be evolved and this task gives means for.

        Raises UserError where that is nothing: this designer knows rewards for reaching targets, and features
        about the places and speeds of targets and agents.
        """
        draft = cls(card, scope, evolve != "observation" and card.target is not None, evolve != "reward")
        draft.designs_observation = draft.designs_observation and bool(optional_features(draft, draft.rule()))
        if not draft.designs_reward and not draft.designs_observation:
            wanted = {"reward": "no reward", "observation": "no observation", "both": "no reward and no observation"}
            raise UserError(
                f"The offline generator has {wanted[evolve]} to design for {card.name}: use a model as the generator "
                "(--generator MODEL), or describe entities, a target and the observation's parts in the task card."
            )
        return draft

    @property
    def reach(self) -> float:
        assert self.card.reach is not None, "a card with a target says at which distance it counts as reached"
        return self.card.reach

    @property
    def per_length(self) -> float:
        """What a typical weight on a length is to be multiplied by, since tasks have different units of length."""
        return TYPICAL_REACH / self.reach

    def load(self, signal: Signal) -> Draft:
        """Takes over what is config; a part that is code cannot be edited without a model and is left out."""
        if self.designs_reward and isinstance(signal.reward, RewardConfig):
            self.alpha, self.terms = signal.reward.alpha, list(signal.reward.terms)
        if self.designs_observation and isinstance(signal.observation, ObservationConfig):
            self.features = list(signal.observation.features)
        return self

    def signal(self) -> Signal:
        reads_team = not all(showable(feature, self.card, "own") for feature in self.features)
        return Signal(
            reward=RewardConfig(alpha=self.alpha, terms=tuple(self.terms)) if self.terms else None,
            observation=ObservationConfig(scope="team" if reads_team else "own", features=tuple(self.features))
            if self.features
            else None,
        )

    def copy(self) -> Draft:
        return replace(self, terms=list(self.terms), features=list(self.features))

    @property
    def parts(self) -> list[AnyTerm | AnyFeature]:
        return [*self.terms, *self.features]

    def touched(self, after: Draft) -> set[str]:
        """The kinds of what differs between this draft and a later one."""
        kinds: set[str] = {part.kind for part in self.parts if part not in after.parts}
        kinds |= {part.kind for part in after.parts if part not in self.parts}
        return kinds if after.alpha == self.alpha else kinds | {"alpha"}

    def pay(self, term: AnyTerm, rng: random.Random, adds: str, raises: str) -> str | None:
        """Adds the term, or lets its like weigh more in the form that it has; says which, or None for neither."""
        for index, old in enumerate(self.terms):
            if _same_purpose(old, term):
                more = _reweighed(old, rng.uniform(1.25, 2.0)).weight if old.weight > 0 else term.weight
                if more <= old.weight:  # as heavy as terms get
                    return None
                self.terms[index] = old.model_copy(update={"weight": more})
                return f"{raises} (weight {old.weight:g} to {more:g})"
        if not self.designs_reward or len(self.terms) >= MOST_PARTS:
            return None
        self.terms.append(term)
        return adds

    def show(self, feature: AnyFeature, words: str) -> str | None:
        """Adds the feature and says so; None where that cannot be, or is so already."""
        if not showable(feature, self.card, self.scope):
            return None
        before = len(self.features)
        self.add_feature(feature)
        return words if len(self.features) > before else None

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
        """One assignment for the whole signal: a reward for one target and features of another work against it.

        Features that cannot follow, because the observation lacks what it takes, stay as they are.
        """
        self.terms = [t.model_copy(update={"assignment": rule}) if hasattr(t, "assignment") else t for t in self.terms]
        assigned = [f.model_copy(update={"assignment": rule}) if hasattr(f, "assignment") else f for f in self.features]
        followed = [
            new if showable(new, self.card, self.scope) else old
            for new, old in zip(assigned, self.features, strict=True)
        ]
        self.features = list(dict.fromkeys(followed))

    def rule(self) -> Assignment:
        """The assignment in use; in a blank draft the first that there is."""
        for part in [*self.terms, *self.features]:
            rule: Assignment | None = getattr(part, "assignment", None)
            if rule is not None:
                return rule
        return "own" if self.card.goal is not None else "nearest"


def _same_purpose(a: AnyTerm, b: AnyTerm) -> bool:
    return a.kind == b.kind and a.credit == b.credit and getattr(a, "threshold", None) == getattr(b, "threshold", None)


def rules_for(draft: Draft) -> tuple[Assignment, ...]:
    """The assignments that make sense in the task, and that features can follow where features are designed.

    Where the task gives each agent a goal, only that. Where targets vanish, agents may go from one to the next
    each alone, or together. Else each may have one to itself, unless there are more agents than targets.
    """
    card = draft.card
    rules: tuple[Assignment, ...] = ("nearest",)
    if card.target is None:
        return rules  # no part of such a draft asks
    if card.goal is not None:
        rules = ("own",)
    elif card.vanishes:
        rules = ("nearest", "together") if card.agents > 1 else rules
    elif card.has_rule("optimal"):
        rules = ("nearest", "optimal", "own") if card.agents > 1 else ("nearest", "own")
    if not draft.designs_observation:
        return rules
    return tuple(r for r in rules if showable(TargetOffset(assignment=r), card, draft.scope)) or rules


def showable(feature: AnyFeature, card: TaskCard, scope: Scope) -> bool:
    """Whether the observation holds what the feature reads, for one agent at least."""
    places = [card.target] if feature.kind.startswith(("target", "threshold")) else []
    rule: Assignment | None = getattr(feature, "assignment", None)
    if rule in ("optimal", "together") or feature.kind in ("target_claims", "agent_distances", "nearest_agent_offset"):
        places.append("agent")
    if rule is not None and not card.has_rule(rule):
        return False
    if feature.kind == "teammate_observations":
        return scope == "team" and 1 <= card.teammate_columns <= MOST_TEAMMATE_COLUMNS
    parts: list[ObservationPart] = []
    for of in places:
        sight = card.sight(of) if of is not None and (of != "agent" or card.agents > 1) else None
        if sight is None or (of == card.target and card.vanishes and sight[0].unseen is None):
            return False
        parts += sight
    if feature.kind == "speed":
        if (velocity := card.part("velocity", "self")) is None:
            return False
        parts.append(velocity)
    agents = set(card.seers(*parts))
    if rule == "own" and card.goal is not None:
        goal = card.goal_part(scope)
        if goal is None:
            return False
        knowing = card.seers(goal)
        agents &= set(knowing) if goal.of == "self" else {1 - agent for agent in knowing}
    return bool(agents)


def weight(rng: random.Random, about: float) -> float:
    """A weight around a typical one, by a factor of about 2 up or down."""
    return round(about * 2 ** rng.gauss(0, 0.7), 3)


def fresh(draft: Draft, rule: Assignment, rng: random.Random) -> Draft:
    """A first design around one assignment: go there, be paid for arriving, and see where to go."""
    if draft.designs_reward:
        draft.alpha = rng.choice([0.4, 0.5, 0.6, 0.7])
        _first_terms(draft, rule, rng)
    if draft.designs_observation:
        sight = TargetOffset(assignment=rule)
        if showable(sight, draft.card, draft.scope):
            draft.add_feature(sight)
        possible = optional_features(draft, rule)
        for feature in rng.sample(possible, min(2, len(possible))):
            draft.add_feature(feature)
    return draft


def _first_terms(draft: Draft, rule: Assignment, rng: random.Random) -> None:
    card, reach, per_length = draft.card, draft.reach, draft.per_length
    if card.vanishes:
        # A bonus for standing near would pay for not serving the target, which then vanishes: the native reward
        # pays for that, progress leads there, and a bonus is given as a potential, which changes no best policy.
        draft.add_term(Native(weight=weight(rng, 10.0)))
        draft.add_term(Progress(assignment=rule, weight=weight(rng, 5.0 * per_length)))
        extras: list[AnyTerm] = [
            standing(draft, Reach(assignment=rule, threshold=reach, weight=weight(rng, 1.0))),
            Approach(assignment=rule, weight=weight(rng, per_length)),
            Native(credit="team", weight=weight(rng, 10.0)),
            TeamDistance(weight=weight(rng, per_length)),
        ]
    else:
        form = rng.choice(["linear", "linear", "exponential", "squared"])
        about = per_length ** POWERS[form]
        draft.add_term(Approach(assignment=rule, form=form, weight=weight(rng, about), scale=round(3 * reach, 3)))
        draft.add_term(Reach(assignment=rule, threshold=reach, weight=weight(rng, 1.0)))
        extras = [
            UniqueCoverage(credit="team", threshold=reach, weight=weight(rng, 2.0)),
            TeamDistance(weight=weight(rng, per_length)),
            TeamSuccess(threshold=reach, weight=weight(rng, 2.0)),
            Progress(assignment=rule, weight=weight(rng, 5.0 * per_length)),
        ]
        if card.collide is not None and card.agents > 1:
            extras.append(Collision(distance=card.collide, weight=weight(rng, 0.3)))
    chosen = rng.sample(extras, 2)
    if card.goal is not None and card.goal_part("own") is None:
        # Who does not see its goal must be told: that is learned only where the others' success is one's own.
        chosen = sorted(extras, key=lambda term: (term.kind != "team_distance", term not in chosen))[:2]
    for term in chosen:
        draft.add_term(term)


POWERS = {"linear": 1, "squared": 2, "exponential": 0}
"""Of the length, in the value of an approach."""


def standing(draft: Draft, term: Reach | UniqueCoverage | TeamSuccess) -> Reach | UniqueCoverage | TeamSuccess:
    """A bonus for each step at a target; as a potential where targets vanish, so that it does not pay to spare them."""
    return term.model_copy(update={"potential": draft.card.vanishes})


def optional_features(draft: Draft, rule: Assignment) -> list[AnyFeature]:
    """The features that this task's observation can yield."""
    card = draft.card
    found: list[AnyFeature] = []
    if card.reach is not None:
        found += [
            TargetDistance(assignment=rule),
            TargetIndex(assignment=rule),
            ThresholdMargin(assignment=rule, threshold=card.reach),
            TargetDistances(),
            TargetClaims(),
        ]
    found += [AgentDistances(), NearestAgentOffset(), Speed(), TeammateObservations()]
    return [feature for feature in found if showable(feature, card, draft.scope)]


# ---------------------------------------------------------------- edits: small changes with a purpose

Edit = Callable[[Draft, random.Random], str | None]
"""Changes the draft and says what was done and why; None where there was nothing to change."""


def give_each_its_target(draft: Draft, rng: random.Random) -> str | None:
    rules = [rule for rule in rules_for(draft) if rule in ("optimal", "own") and rule != draft.rule()]
    if not rules:
        return None
    draft.assign(rng.choice(rules))
    return f"gives each agent a target of its own ({draft.rule()} assignment), against overlap"


def pay_unique_coverage(draft: Draft, rng: random.Random) -> str | None:
    if not draft.designs_reward or draft.card.vanishes:
        return None
    term = UniqueCoverage(credit="team", threshold=draft.reach, weight=weight(rng, 2.0))
    adds = "pays the team for each target that is covered, once"
    return draft.pay(term, rng, adds, "pays the team more for each target that is covered, once")


def pay_the_deed(draft: Draft, rng: random.Random) -> str | None:
    """Where targets vanish, the native reward is the one that says so."""
    if not draft.designs_reward or not draft.card.vanishes:
        return None
    term = Native(weight=weight(rng, 10.0))
    return draft.pay(term, rng, "pays the native reward too", "lets the native reward weigh more")


def tie_to_the_result(draft: Draft, rng: random.Random) -> str | None:
    if not draft.designs_reward:
        return None
    term = TeamDistance(weight=weight(rng, 2.0 * draft.per_length))
    adds = "ties all agents to the distances of the whole team, so that it pays to help another"
    return draft.pay(term, rng, adds, "ties all agents more to the distances of the whole team")


def show_claims(draft: Draft, rng: random.Random) -> str | None:
    return draft.show(TargetClaims(), "shows each agent which targets it is the nearest to")


def pull_harder(draft: Draft, rng: random.Random) -> str | None:
    rule, pull = draft.rule(), None
    if draft.designs_reward:
        term = Approach(assignment=rule, weight=weight(rng, 2.0 * draft.per_length))
        pull = draft.pay(term, rng, "pulls towards the assigned target", "pulls harder towards the assigned target")
    sight = draft.show(TargetOffset(assignment=rule), "shows where the assigned target is")
    return " and ".join(filter(None, (pull, sight))) or None


def pay_progress(draft: Draft, rng: random.Random) -> str | None:
    if not draft.designs_reward:
        return None
    term = Progress(assignment=draft.rule(), weight=weight(rng, 5.0 * draft.per_length))
    adds = "pays each step that brings the target nearer"
    return draft.pay(term, rng, adds, "pays more for each step that brings the target nearer")


def pay_arrival(draft: Draft, rng: random.Random) -> str | None:
    if not draft.designs_reward:
        return None
    term = standing(draft, Reach(assignment=draft.rule(), threshold=draft.reach, weight=weight(rng, 3.0)))
    adds = "pays for standing within reach of the target"
    return draft.pay(term, rng, adds, "raises the bonus for standing within reach of the target")


def pay_wide_arrival(draft: Draft, rng: random.Random) -> str | None:
    if not draft.designs_reward:
        return None
    threshold = round(draft.reach * rng.choice([2, 3]), 4)
    term = standing(draft, Reach(assignment=draft.rule(), threshold=threshold, weight=weight(rng, 0.5)))
    adds = f"adds a bonus at {threshold:g}, so that the last stretch has a slope"
    return draft.pay(term, rng, adds, f"raises the bonus at {threshold:g}, so that the last stretch has a slope")


def slow_down(draft: Draft, rng: random.Random) -> str | None:
    if not draft.designs_reward or draft.card.entity("agent").velocity is None:
        return None
    threshold = round(2 * draft.reach, 4)
    term = SlowNearTarget(assignment=draft.rule(), threshold=threshold, weight=weight(rng, 0.5))
    adds = "charges for speed near the target, so that agents stay there"
    return draft.pay(term, rng, adds, "charges more for speed near the target, so that agents stay there")


def show_margin(draft: Draft, rng: random.Random) -> str | None:
    if draft.card.reach is None:
        return None
    feature = ThresholdMargin(assignment=draft.rule(), threshold=draft.reach)
    return draft.show(feature, "shows how far inside the reach the agent is")


def charge_collisions(draft: Draft, rng: random.Random) -> str | None:
    if not draft.designs_reward or draft.card.collide is None:
        return None
    term = Collision(distance=draft.card.collide, weight=weight(rng, 0.5))
    return draft.pay(term, rng, "charges for collisions", "charges more for collisions")


def charge_crowding(draft: Draft, rng: random.Random) -> str | None:
    if not draft.designs_reward or draft.card.collide is None:
        return None
    term = Crowding(radius=round(1.5 * draft.card.collide, 4), weight=weight(rng, 0.5))
    adds = "charges for standing close before it comes to a collision"
    return draft.pay(term, rng, adds, "charges more for standing close before it comes to a collision")


def favour_the_individual(draft: Draft, rng: random.Random) -> str | None:
    if (
        len({term.credit for term in draft.terms}) < 2 or draft.alpha >= MOST_ALPHA
    ):  # alpha weighs one against the other
        return None
    draft.alpha = round(min(MOST_ALPHA, draft.alpha + rng.uniform(0.1, 0.3)), 2)
    return f"gives the individual part more weight (alpha {draft.alpha:g}): own deeds show in own reward"


def soften(draft: Draft, rng: random.Random) -> str | None:
    if not draft.terms:
        return None
    before = draft.terms
    draft.terms = [_reweighed(term, 0.6) for term in before]
    softer = [abs(new.weight) < abs(old.weight) for new, old in zip(draft.terms, before, strict=True)]
    return "softens all terms" if all(softer) else "softens the heavier terms"


def drop_strongest(draft: Draft, rng: random.Random) -> str | None:
    if len(draft.terms) < 2:
        return None
    strongest = max(draft.terms, key=lambda term: abs(term.weight))
    draft.terms.remove(strongest)
    return f"drops the term of the largest weight, {strongest.kind}"


def tune_weights(draft: Draft, rng: random.Random) -> str | None:
    if not draft.terms:
        return None
    draft.terms = [_reweighed(term, 2 ** rng.gauss(0, 0.5)) for term in draft.terms]
    old = draft.alpha
    draft.alpha = round(min(MOST_ALPHA, max(1 - MOST_ALPHA, old + rng.gauss(0, 0.1))), 2)
    return "tunes the weights" + (f", and alpha from {old:g} to {draft.alpha:g}" if draft.alpha != old else "")


def reshape_approach(draft: Draft, rng: random.Random) -> str | None:
    for index, term in enumerate(draft.terms):
        if isinstance(term, Approach):
            forms = ("linear", "squared") if draft.card.vanishes else ("linear", "squared", "exponential")
            form = rng.choice([form for form in forms if form != term.form])
            factor = draft.per_length ** (POWERS[form] - POWERS[term.form])
            changed = term if factor == 1 else _reweighed(term, factor)  # it should weigh as much in other units
            draft.terms[index] = changed.model_copy(update={"form": form})
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
    possible = optional_features(draft, draft.rule())
    if not possible:
        return None
    feature = rng.choice(possible)
    return draft.show(feature, f"adds the feature {feature.kind}")


def _reweighed(term: AnyTerm, factor: float) -> AnyTerm:
    least = min(LEAST_WEIGHT, abs(term.weight))
    size = min(MOST_WEIGHT, max(least, abs(term.weight) * factor))
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
    pay_the_deed,
)
