"""The offline roles: diverse at first, steered by evidence, honest about what they did, and repeatable."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from marlsmith.agents.offline import OfflineGenerator, OfflineValidator
from marlsmith.marl.checking.dynamic import check_signal
from marlsmith.marl.checking.samples import sample
from marlsmith.marl.tasks import make_task
from marlsmith.schemas import (
    Approach,
    Candidate,
    Citation,
    Code,
    Diagnosis,
    Elite,
    Evaluation,
    FailureKind,
    Finding,
    MainRun,
    ObservationConfig,
    Proposal,
    ProposalBrief,
    Rejection,
    ReviewBrief,
    RewardConfig,
    Signal,
    TargetOffset,
    TaskCard,
    TeamSuccess,
    UserError,
    canonical,
)

TASK = make_task("mpe/simple_spread")
CARD = TASK.card


def brief(**changes: object) -> ProposalBrief:
    plain = {
        "task": CARD,
        "count": 3,
        "evolve": "both",
        "scope": "own",
        "signals": "any",
        "reward_mode": "replace",
        "stage": 1,
        "round": 1,
        "seed": 7,
    }
    return ProposalBrief.model_validate({**plain, **changes})


def candidate(signal: Signal, id: str = "s1r1c1") -> Candidate:
    return Candidate(id=id, stage=1, round=1, author="x", kind="new", rationale="because", signal=signal)


def elite(signal: Signal, score: float = 0.5, id: str = "s1r1c1") -> Elite:
    evaluation = Evaluation(candidate=id, branch=id, seeds=(0,), steps=1, score=score, scores=(score,))
    return Elite(candidate=candidate(signal, id), code="", evaluation=evaluation)


def rules(signal: Signal) -> set[str]:
    parts = [
        *(signal.reward.terms if signal.reward else ()),
        *(signal.observation.features if signal.observation else ()),
    ]
    return {part.assignment for part in parts if hasattr(part, "assignment")}


# ---------------------------------------------------------------- generator


def test_the_first_round_spreads_over_the_assignments() -> None:
    for seed in range(20):
        proposals = OfflineGenerator().propose(brief(seed=seed))
        assert [proposal.kind for proposal in proposals] == ["new"] * 3
        assert sorted(rule for proposal in proposals for rule in rules(proposal.signal)) == [
            "nearest",
            "optimal",
            "own",
        ]


def test_with_more_agents_than_targets_nobody_is_promised_one_alone() -> None:
    entities = [
        entity.model_copy(update={"count": 1}) if entity.name == "landmark" else entity for entity in CARD.entities
    ]
    crowded = CARD.model_copy(update={"entities": tuple(entities)})
    rejected = [Rejection(candidate=candidate(PARENT), problems=("use 'nearest'",))]
    for seed in range(10):
        for changes in ({}, {"rejected": rejected, "attempt": 1}, {"elites": [elite(PARENT)]}):
            for proposal in OfflineGenerator().propose(brief(task=crowded, seed=seed, **changes)):
                assert rules(proposal.signal) <= {"nearest"}


def test_same_brief_same_proposals_and_another_seed_others() -> None:
    generator = OfflineGenerator()
    assert generator.propose(brief()) == generator.propose(brief())
    assert generator.propose(brief()) != generator.propose(brief(seed=8))


@pytest.mark.parametrize("evolve", ["reward", "observation", "both"])
def test_only_the_part_to_be_evolved_is_designed_over_a_whole_lineage(evolve: str) -> None:
    generator = OfflineGenerator()
    parents: list[Elite] = []
    tried: list[str] = []
    samples = sample(TASK)
    for round in range(1, 9):
        proposals = generator.propose(brief(evolve=evolve, elites=parents, tried=tried, round=round, seed=round))
        assert len(proposals) == 3
        for proposal in proposals:
            assert (proposal.signal.reward is None) == (evolve == "observation")
            assert (proposal.signal.observation is None) == (evolve == "reward")
            assert len(rules(proposal.signal)) <= 1, "one assignment for the whole signal"
            assert canonical(proposal.signal) not in tried
            tried.append(canonical(proposal.signal))
            check_signal(proposal.signal, TASK, "own", samples)
        parents = [elite(proposal.signal, 0.5, f"s1r{round}c{n}") for n, proposal in enumerate(proposals[:2])]


REWARD = RewardConfig(alpha=0.5, terms=(Approach(assignment="nearest"), TeamSuccess()))
PARENT = Signal(reward=REWARD, observation=ObservationConfig(features=(TargetOffset(assignment="nearest"),)))


@pytest.mark.parametrize(
    ("failure", "visible"),
    [
        ("overlap", {"optimal", "own", "unique_coverage", "target_claims"}),
        ("collision", {"collision", "crowding"}),
        ("precision", {"reach", "slow_near_target", "threshold_margin"}),
        ("exploration", {"progress", "reach", "approach"}),
        ("credit_assignment", {"progress", "alpha", "weight"}),
    ],
)
def test_mutations_answer_the_diagnosis(failure: FailureKind, visible: set[str]) -> None:
    finding = Finding(failure=failure, evidence=(Citation(key="k", value=1.0),), advice="mend it")
    diagnosis = Diagnosis(summary="so", findings=(finding,))
    answered = 0
    for seed in range(20):
        proposals = OfflineGenerator().propose(brief(elites=[elite(PARENT)], diagnosis=diagnosis, seed=seed))
        assert all(proposal.parents == ("s1r1c1",) and proposal.kind == "mutate" for proposal in proposals)
        before, after = canonical(PARENT), [canonical(proposal.signal) for proposal in proposals]
        answered += any(
            text.count(word) > before.count(word) or word in {"alpha", "weight"} for text in after for word in visible
        )
    assert answered == 20


def test_a_mutation_says_only_what_it_did() -> None:
    """Where only the reward is evolved, nothing is said of features."""
    finding = Finding(failure="precision", evidence=(Citation(key="k", value=1.0),), advice="mend it")
    for seed in range(40):
        for proposal in OfflineGenerator().propose(
            brief(
                evolve="reward",
                elites=[elite(Signal(reward=REWARD))],
                diagnosis=Diagnosis(summary="so", findings=(finding,)),
                seed=seed,
            )
        ):
            assert "shows" not in proposal.rationale
            assert "feature" not in proposal.rationale


def parts(signal: Signal) -> list[object]:
    return [
        *(signal.reward.terms if isinstance(signal.reward, RewardConfig) else ()),
        *(signal.observation.features if isinstance(signal.observation, ObservationConfig) else ()),
    ]


def lineage(
    evolve: str, failure: FailureKind, seeds: int = 40, task: TaskCard = CARD
) -> Iterator[tuple[Proposal, dict[str, Signal]]]:
    """Proposals of the second and later rounds, with their parents' signals."""
    finding = Finding(failure=failure, evidence=(Citation(key="k", value=1.0),), advice="mend it")
    diagnosis = Diagnosis(summary="so", findings=(finding,))
    for seed in range(seeds):
        parents: list[Elite] = []
        for round in range(1, 5):
            told = brief(
                task=task, evolve=evolve, elites=parents, diagnosis=diagnosis, round=round, seed=100 * seed + round
            )
            proposals = OfflineGenerator().propose(told)
            known = {parent.candidate.id: parent.candidate.signal for parent in parents}
            yield from ((proposal, known) for proposal in proposals if parents)
            parents = [elite(proposal.signal, 0.5, f"s1r{round}c{n}") for n, proposal in enumerate(proposals)]


RAISES = {
    "pulls harder": "approach",
    "raises the bonus": "reach",
    "pays more for each step": "progress",
    "pays the team more": "unique_coverage",
    "charges more for speed": "slow_near_target",
    "charges more for collisions": "collision",
    "charges more for standing": "crowding",
}
ADDS = {
    "pulls towards": "approach",
    "adds a bonus": "reach",
    "pays for standing": "reach",
    "pays each step": "progress",
    "pays the team for": "unique_coverage",
    "charges for speed": "slow_near_target",
    "charges for collisions": "collision",
    "charges for standing": "crowding",
    "shows each agent which": "target_claims",
    "shows where": "target_offset",
    "shows how far": "threshold_margin",
}


@pytest.mark.parametrize("failure", ["overlap", "collision", "precision", "exploration", "credit_assignment"])
@pytest.mark.parametrize("evolve", ["reward", "observation", "both"])
def test_a_mutation_did_what_it_says(evolve: str, failure: FailureKind) -> None:
    for proposal, known in lineage(evolve, failure):
        if proposal.kind != "mutate":
            continue
        said = proposal.rationale.partition("This variant ")[2]
        before, after = (parts(signal) for signal in (known[proposal.parents[0]], proposal.signal))
        gone, new = [p for p in before if p not in after], [p for p in after if p not in before]
        for words, kind in RAISES.items():
            if words in said:
                heavier = [
                    (old, part)
                    for old in gone
                    for part in new
                    if old.kind == part.kind == kind and old.model_copy(update={"weight": part.weight}) == part
                ]
                assert any(part.weight > old.weight > 0 for old, part in heavier), proposal.rationale
        for words, kind in ADDS.items():
            if words in said:
                assert [p.kind for p in after].count(kind) == [p.kind for p in before].count(kind) + 1, said
        if "softens all terms" in said:
            assert sum(p.weight for p in new if hasattr(p, "weight")) < sum(
                p.weight for p in gone if hasattr(p, "weight")
            )
        assert said[:-1].strip()


def test_a_mutation_keeps_no_change_to_itself() -> None:
    for proposal, known in lineage("both", "instability"):
        if proposal.kind == "mutate":
            parent, said = known[proposal.parents[0]], proposal.rationale
            assert proposal.signal.reward.alpha == parent.reward.alpha or "alpha" in said
            shown = {"feature", "shows", "assignment"}
            assert proposal.signal.observation == parent.observation or any(word in said for word in shown)


def test_individual_credit_is_favoured_only_beside_team_credit_and_never_alone() -> None:
    review = OfflineValidator()
    for proposal, known in lineage("reward", "credit_assignment"):
        if "individual part more weight" in proposal.rationale:
            terms = known[proposal.parents[0]].reward.terms
            assert {term.credit for term in terms} == {"agent", "team"}
            assert known[proposal.parents[0]].reward.alpha < proposal.signal.reward.alpha <= 0.9
        told = ReviewBrief(task=CARD, candidate=candidate(proposal.signal), code="", scope="own", reward_mode="replace")
        assert review.review(told).approve


@pytest.mark.parametrize("evolve", ["reward", "observation", "both"])
def test_a_crossover_did_what_it_says(evolve: str) -> None:
    seen = []
    for proposal, known in lineage(evolve, "overlap"):
        if proposal.kind != "crossover":
            continue
        one, other = (known[parent] for parent in proposal.parents)
        inherited = [*parts(one), *parts(other)]
        assigned = {(p.kind, p.assignment) for p in inherited if hasattr(p, "assignment")}
        reassigned = {(p.kind, p.assignment) for p in parts(proposal.signal) if hasattr(p, "assignment")} - assigned
        said = "brought to" in proposal.rationale
        seen.append(said)
        assert said >= bool(reassigned), proposal.rationale
        assert not said or len({p.assignment for p in inherited if hasattr(p, "assignment")}) > 1
        if evolve != "both":
            taken = proposal.rationale.partition(" with ")[2].partition(" of ")[0].split(", ")
            assert set(taken) <= {p.kind for p in parts(other)} & {p.kind for p in parts(proposal.signal)}
            assert taken != [""]
    assert any(seen)
    assert not all(seen)


def test_a_part_that_is_code_is_left_out_aloud() -> None:
    code = Code(source="def agent_reward(state):\n    return state.reward\n")
    mixed = Signal(reward=code, observation=PARENT.observation)
    for seed in range(20):
        for proposal in OfflineGenerator().propose(brief(elites=[elite(mixed), elite(PARENT, 0.4, "x")], seed=seed)):
            assert proposal.kind == "mutate"  # it has no reward to give to a crossover
            assert ("leaves out the reward, which is code" in proposal.rationale) == (proposal.parents == ("s1r1c1",))


def test_crossover_takes_from_both_parents() -> None:
    other = Signal(
        reward=RewardConfig(alpha=0.2, terms=(TeamSuccess(weight=3),)),
        observation=ObservationConfig(features=(TargetOffset(assignment="optimal"),)),
    )
    found = [
        proposal
        for seed in range(40)
        for proposal in OfflineGenerator().propose(
            brief(elites=[elite(PARENT), elite(other, 0.4, "s1r1c2")], seed=seed)
        )
        if proposal.kind == "crossover"
    ]
    assert found
    for proposal in found:
        assert set(proposal.parents) == {"s1r1c1", "s1r1c2"}


def test_a_refused_candidate_gets_one_repair_each() -> None:
    rejected = [Rejection(candidate=candidate(PARENT, f"s1r1c{n}"), problems=("wrong shape",)) for n in (1, 2)]
    proposals = OfflineGenerator().propose(brief(rejected=rejected, attempt=1))
    assert [proposal.parents for proposal in proposals] == [("s1r1c1",), ("s1r1c2",)]
    assert all(proposal.kind == "repair" and "wrong shape" in proposal.rationale for proposal in proposals)


def test_parents_that_are_code_are_left_to_a_model() -> None:
    code = Signal(reward=Code(source="def agent_reward(state):\n    return state.reward\n"))
    proposals = OfflineGenerator().propose(brief(elites=[elite(code)]))
    assert [proposal.kind for proposal in proposals] == ["new"] * 3


def test_team_features_only_where_the_run_allows_them() -> None:
    def kinds(scope: str) -> set[str]:
        return {
            feature.kind
            for seed in range(60)
            for proposal in OfflineGenerator().propose(brief(scope=scope, seed=seed))
            if proposal.signal.observation
            for feature in proposal.signal.observation.features
        }

    assert kinds("team") - kinds("own") == {"teammate_observations"}
    assert len(kinds("own")) >= 6


FORAGING = make_task("lbf/8x8-2p-2f-coop").card
REFERENCE = make_task("mpe/simple_reference").card


def first_designs(**changes: object) -> list[Signal]:
    return [
        proposal.signal for seed in range(20) for proposal in OfflineGenerator().propose(brief(seed=seed, **changes))
    ]


def test_where_targets_vanish_no_bonus_pays_for_sparing_them() -> None:
    """Standing beside food must never earn more, over the steps, than eating it."""
    used = set()
    for signal in first_designs(task=FORAGING):
        used |= rules(signal)
        terms = signal.reward.terms
        assert any(term.kind == "native" for term in terms)
        assert all(term.potential for term in terms if term.kind in {"reach", "unique_coverage", "team_success"})
        assert not any(term.kind == "approach" and term.form == "exponential" for term in terms)
    assert used == {"nearest", "together"}
    for proposal, _ in lineage("both", "precision", seeds=10, task=FORAGING):
        assert all(term.potential for term in proposal.signal.reward.terms if term.kind == "reach")


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("mpe/simple_spread", True),
        ("mpe/simple_spread?agents=1", False),
        ("lbf/8x8-2p-2f-coop", False),
        ("lbf/10x10-3p-3f", False),
    ],
)
def test_two_at_one_target_are_a_fault_only_where_each_could_have_its_own(name: str, fault: bool) -> None:
    proposals = OfflineGenerator().propose(brief(task=make_task(name).card))
    nearest = [proposal.rationale for proposal in proposals if "nearest assignment" in proposal.rationale]
    assert nearest
    assert all(("may choose the same" in words) == fault for words in nearest)


def test_where_agents_have_goals_nothing_else_is_pursued() -> None:
    for signal in first_designs(task=REFERENCE):
        assert rules(signal) == {"own"}
        assert all(not hasattr(feature, "assignment") for feature in signal.observation.features)
        assert any(term.kind == "team_distance" for term in signal.reward.terms), "who tells must gain by it"
    shared = first_designs(task=REFERENCE, scope="team")
    assert all(signal.observation.scope == "team" for signal in shared)
    assert all(signal.observation.features[0] == TargetOffset(assignment="own") for signal in shared)


def test_weights_on_lengths_follow_the_unit_of_length() -> None:
    """The same task in an arena 1,000 times as wide gets bonuses of the same size and distances of a thousandth."""
    wide = CARD.model_copy(update={"reach": 100.0, "collide": 300.0})
    for one, other in zip(first_designs(), first_designs(task=wide), strict=True):
        for near, far in zip(one.reward.terms, other.reward.terms, strict=True):
            power = {"approach": {"linear": 1, "squared": 2, "exponential": 0}, "team_distance": 1, "progress": 1}
            factor = power.get(near.kind, 0)
            factor = factor[near.form] if isinstance(factor, dict) else factor
            assert far.weight == pytest.approx(near.weight / 1000**factor, abs=6e-4)


def bare(**changes: object) -> TaskCard:
    plain = {"entities": (), "target": None, "reach": None, "collide": None, "observation": ()}
    return TaskCard.model_validate({**CARD.model_dump(), **plain, **changes})


@pytest.mark.parametrize("evolve", ["reward", "observation", "both"])
def test_where_there_is_nothing_to_design_with_it_says_what_to_do(evolve: str) -> None:
    with pytest.raises(UserError, match="--generator MODEL"):
        OfflineGenerator().propose(brief(task=bare(), evolve=evolve))


def test_without_targets_it_designs_what_agents_observe() -> None:
    seen = bare(observation=CARD.observation, entities=CARD.entities)
    for seed in range(5):
        proposals = OfflineGenerator().propose(brief(task=seen, seed=seed))
        assert proposals
        assert all(proposal.signal.reward is None for proposal in proposals)
        assert "target" not in proposals[0].rationale.replace("without targets", "")
    with pytest.raises(UserError):
        OfflineGenerator().propose(brief(task=seen, evolve="reward"))


def test_offline_designs_are_plain_json() -> None:
    for proposal in OfflineGenerator().propose(brief()):
        assert Signal.model_validate(json.loads(canonical(proposal.signal))) == proposal.signal


# ---------------------------------------------------------------- one training that is adapted

MAIN = MainRun(stages=6, steps=20_000, until=120_000, branch_steps=20_000)


def adapted(seed: int, failure: FailureKind = "precision") -> tuple[Elite, list[Proposal]]:
    """An incumbent with many features, and what is proposed in its place."""
    signal = OfflineGenerator().propose(brief(seed=seed))[0].signal
    incumbent = elite(signal)
    diagnosis = Diagnosis(summary="s", findings=(Finding(failure=failure, advice="a"),))
    changes = {"elites": (incumbent,), "main": MAIN, "diagnosis": diagnosis, "reward_mode": "add", "stage": 2}
    return incumbent, OfflineGenerator().propose(brief(seed=seed, **changes))


@pytest.mark.parametrize("failure", ["precision", "none"])
def test_what_the_policy_reads_is_not_dropped(failure: FailureKind) -> None:
    """It would come back as the column that it was, and a branch would be spent on nothing."""
    for seed in range(40):
        incumbent, proposals = adapted(seed, failure)
        for proposal in proposals:
            assert set(incumbent.candidate.signal.observation.features) <= set(proposal.signal.observation.features)


def test_branches_of_a_main_run_differ_in_more_than_weights() -> None:
    for seed in range(40):
        outlines = [
            tuple(term.model_dump_json(exclude={"weight"}) for term in proposal.signal.reward.terms)
            + proposal.signal.observation.features
            for proposal in adapted(seed)[1]
        ]
        assert len(outlines) == 3
        assert len(set(outlines)) == 3
