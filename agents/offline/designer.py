"""The offline generator: evolution over the config vocabulary, its edits steered by the diagnosis."""

from __future__ import annotations

import random
from collections.abc import Sequence

from marlsmith.agents.offline import draft as edits
from marlsmith.agents.offline.draft import Draft, Edit, fresh, rules_for
from marlsmith.schemas import (
    Assignment,
    Code,
    Elite,
    FailureKind,
    ObservationConfig,
    Proposal,
    ProposalBrief,
    RewardConfig,
    Signal,
    TaskCard,
    canonical,
)

REMEDIES: dict[FailureKind, tuple[Edit, ...]] = {
    "exploration": (edits.pull_harder, edits.pay_progress, edits.pay_wide_arrival),
    "credit_assignment": (edits.favour_the_individual, edits.pay_progress, edits.tune_weights),
    "overlap": (edits.give_each_its_target, edits.pay_unique_coverage, edits.show_claims),
    "collision": (edits.charge_collisions, edits.charge_crowding),
    "precision": (edits.pay_arrival, edits.slow_down, edits.show_margin, edits.pay_wide_arrival),
    "instability": (edits.soften, edits.tune_weights),
    "reward_hacking": (edits.drop_strongest, edits.soften, edits.pay_unique_coverage),
    "communication": (edits.tie_to_the_result, edits.add_some_feature),
    "none": edits.GENERAL_EDITS,
}

ATTEMPTS = 50
CROSSOVER_SHARE = 0.3


class OfflineGenerator:
    """First a spread of designs, one per assignment rule; then mutation and crossover of the elites."""

    name = "offline designer"

    def propose(self, brief: ProposalBrief) -> list[Proposal]:
        """Proposals that differ; raises UserError where the task card gives nothing to design with."""
        first = brief.slots[0] if brief.slots else 1
        rng = random.Random(brief.seed ^ (first - 1))  # further slots of a round are drawn anew
        seen = {*brief.tried, *(canonical(elite.candidate.signal) for elite in brief.elites)}
        wanted = len(brief.rejected) if brief.rejected else brief.count
        rules = rng.sample(possible := rules_for(_draft(brief)), len(possible))
        proposals: list[Proposal] = []
        for number in range(wanted):
            proposal = self._unseen(brief, rules[number % len(rules)], number, seen, proposals, rng)
            if proposal is None:
                break
            seen.add(canonical(proposal.signal))
            proposals.append(proposal)
        return proposals

    def _unseen(
        self,
        brief: ProposalBrief,
        rule: Assignment,
        number: int,
        seen: set[str],
        before: Sequence[Proposal],
        rng: random.Random,
    ) -> Proposal | None:
        outlines = [_outline(earlier.signal) for earlier in before] if brief.main is not None else []
        second_best = None
        for _ in range(ATTEMPTS):
            proposal = self._one(brief, rule, number, rng)
            if proposal.signal.is_native or canonical(proposal.signal) in seen:
                continue
            # From one checkpoint other weights alone lead to much the same place: a branch each would be a waste.
            if _outline(proposal.signal) not in outlines:
                return proposal
            second_best = second_best or proposal
        return second_best

    def _one(self, brief: ProposalBrief, rule: Assignment, number: int, rng: random.Random) -> Proposal:
        if brief.rejected:
            refused = brief.rejected[number]
            signal = fresh(_draft(brief), rng.choice(rules_for(_draft(brief))), rng).signal()
            why = f"Starts anew in place of {refused.candidate.id}, which was refused: {'; '.join(refused.problems)}"
            return Proposal(signal=signal, kind="repair", parents=(refused.candidate.id,), rationale=why)
        useful = [elite for elite in brief.elites if _editable(elite)]
        if not useful:
            signal = fresh(_draft(brief), rule, rng).signal()
            return Proposal(signal=signal, kind="new", rationale=_first_words(rule, brief.task))
        pure = [elite for elite in useful if not _code_parts(elite)]
        if len(pure) > 1 and number > 0 and rng.random() < CROSSOVER_SHARE and (child := _crossover(brief, pure, rng)):
            return child
        return _mutation(brief, useful[0 if number == 0 else rng.randrange(len(useful))], number, rng)


def _draft(brief: ProposalBrief) -> Draft:
    return Draft.blank(brief.task, brief.scope, brief.evolve)


def _editable(elite: Elite) -> bool:
    signal = elite.candidate.signal
    return isinstance(signal.reward, RewardConfig) or isinstance(signal.observation, ObservationConfig)


def _code_parts(elite: Elite) -> list[str]:
    signal = elite.candidate.signal
    return [name for name in ("reward", "observation") if isinstance(getattr(signal, name), Code)]


def _first_words(rule: Assignment, card: TaskCard) -> str:
    if card.target is None:
        return "A first design without targets: what agents observe of one another and of themselves."
    sense = {
        "nearest": "every agent goes for the target nearest to it: simple",
        "optimal": "targets are shared out so that the total way is least: no two agents want the same one",
        "own": "agent i takes target i: never an overlap, at the price of longer ways",
        "together": "all go for the target with the least summed way: what one cannot do alone they do together",
    }
    if card.agents > 1 and card.has_rule("optimal"):  # there could be a target for each
        sense["nearest"] += ", but two may choose the same one"
    if card.goal is not None:
        sense["own"] = "every agent goes for the target that the task gives it"
    return f"A first design around the {rule} assignment: {sense[rule]}."


def _mutation(brief: ProposalBrief, parent: Elite, number: int, rng: random.Random) -> Proposal:
    draft = _draft(brief).load(parent.candidate.signal)
    said = [f"leaves out the {part}, which is code" for part in _code_parts(parent)]
    touched: set[str] = set()
    for edit in _chosen_edits(brief, number, rng):
        edited = draft.copy()
        words = edit(edited, rng)
        changes = draft.touched(edited)
        if words and changes and touched.isdisjoint(changes):  # a second edit must not belie the words of the first
            draft = edited
            said.append(words)
            touched |= changes
    why = f"{parent.candidate.id} scored {parent.evaluation.score or 0:.2f}. This variant {'; '.join(said)}."
    return Proposal(signal=draft.signal(), kind="mutate", parents=(parent.candidate.id,), rationale=why)


def _chosen_edits(brief: ProposalBrief, number: int, rng: random.Random) -> list[Edit]:
    """A remedy for one of the findings (each proposal of a round takes another), and sometimes a general edit."""
    findings = brief.diagnosis.findings if brief.diagnosis else ()
    # What the policy of a main run has learned to read stays: to drop it would change nothing.
    general = [edit for edit in edits.GENERAL_EDITS if brief.main is None or edit is not edits.drop_feature]
    chosen: list[Edit] = []
    if findings:
        remedies = REMEDIES[findings[number % len(findings)].failure]
        chosen.append(rng.choice(general if remedies is edits.GENERAL_EDITS else remedies))
    if not chosen or rng.random() < 0.5:
        chosen.append(rng.choice(general))
    return list(dict.fromkeys(chosen))


def _outline(signal: Signal) -> str:
    """The signal but for its weights."""
    reward = signal.reward
    if isinstance(reward, RewardConfig):
        terms = tuple(term.model_copy(update={"weight": 1.0}) for term in reward.terms)
        signal = signal.model_copy(update={"reward": RewardConfig(terms=terms)})
    return canonical(signal)


def _crossover(brief: ProposalBrief, elites: list[Elite], rng: random.Random) -> Proposal | None:
    """The reward of one parent with the observation of the other; or, of one part alone, a mix of theirs.

    None where nothing of the other parent came in.
    """
    parents = rng.sample(elites, 2)
    one, other = (parent.candidate.id for parent in parents)
    draft, second = (_draft(brief).load(parent.candidate.signal) for parent in parents)
    inherited = draft.parts + second.parts
    if brief.evolve == "both":
        draft.features = second.features
        draft.assign(draft.rule())
        said = f"The reward of {one} with the observation of {other}"
    else:
        draft.assign(draft.rule())
        second.assign(draft.rule())
        before = draft.parts
        for term in second.terms:
            if rng.random() < 0.5:
                draft.add_term(term)
        for feature in second.features:
            if rng.random() < 0.5:
                draft.add_feature(feature)
        taken = [part.kind for part in draft.parts if part not in before]
        if not taken:
            return None
        said = f"{one} with {', '.join(taken)} of {other}"
    if any(part not in inherited for part in draft.parts):
        said += f", brought to the {draft.rule()} assignment throughout"
    tuned = edits.tune_weights(draft, rng)
    why = f"{said}. It {tuned}." if tuned else f"{said}."
    return Proposal(signal=draft.signal(), kind="crossover", parents=(one, other), rationale=why)
