"""The vocabulary on every task: what it says there, in words that run, or a refusal that names what to use instead."""

from __future__ import annotations

import itertools

import pytest
import torch
from states import few_samples, random_play, sample_states

from marlsmith.agents.offline import OfflineGenerator
from marlsmith.agents.offline.draft import showable
from marlsmith.marl.checking.dynamic import check_signal
from marlsmith.marl.signals.program import StateView, build_program
from marlsmith.marl.signals.writer import to_code
from marlsmith.marl.tasks import TASKS, Task, make_task
from marlsmith.schemas import (
    AgentDistances,
    Approach,
    Candidate,
    ContinuousActions,
    Diagnosis,
    DiscreteActions,
    Elite,
    Entity,
    Evaluation,
    Feature,
    Finding,
    Metric,
    NearestAgentOffset,
    ObservationConfig,
    ObservationPart,
    Progress,
    ProposalBrief,
    Reach,
    RewardConfig,
    Scope,
    Signal,
    SignalError,
    SlowNearTarget,
    StateField,
    TargetClaims,
    TargetDistance,
    TargetDistances,
    TargetIndex,
    TargetOffset,
    TaskCard,
    TeamDistance,
    TeammateObservations,
    TeamSuccess,
    Term,
    ThresholdMargin,
    UniqueCoverage,
)

RULES = ("nearest", "optimal", "own", "together")
EVERY_TASK = [*TASKS, "mpe/simple_spread?agents=1", "mpe/simple_spread?agents=7"]


def with_rules(kind: type) -> list[object]:
    return [kind(assignment=rule) for rule in RULES] if "assignment" in kind.model_fields else [kind()]


EVERY_TERM: list[Term] = [term for kind in Term.__subclasses__() for term in with_rules(kind)]
EVERY_TERM += [UniqueCoverage(credit="team"), Reach(potential=True), Approach(assignment="together", potential=True)]
EVERY_TERM += [Approach(form="exponential"), Approach(form="squared", credit="team")]
EVERY_FEATURE: list[Feature] = [feature for kind in Feature.__subclasses__() for feature in with_rules(kind)]


def rewarding(*terms: Term) -> Signal:
    return Signal(reward=RewardConfig(terms=terms))


def observing(*features: Feature, scope: Scope = "own") -> Signal:
    return Signal(observation=ObservationConfig(scope=scope, features=features))


def refusal(signal: Signal, card: TaskCard) -> str | None:
    """The words with which the writer refuses it, None where it prints; nothing else is ever raised."""
    try:
        to_code(signal, card)
    except SignalError as error:
        return str(error)
    return None


@pytest.mark.parametrize("name", EVERY_TASK)
def test_every_term_runs_or_is_refused_with_a_remedy(name: str) -> None:
    task = make_task(name)
    views = sample_states(task)
    for term in EVERY_TERM:
        if (refused := refusal(rewarding(term), task.card)) is not None:
            assert ": use " in refused
            continue
        program = build_program(rewarding(term), task.card)
        for where, view in views.items():
            rows, agents = view.reward.shape
            total, _ = program.reward(view, rows, agents)
            assert total.shape == (rows, agents)
            assert bool(total.isfinite().all()), (term, where)


def scoped(feature: Feature, scope: Scope) -> Signal | None:
    return observing(feature, scope=scope) if scope == "team" or feature.kind != "teammate_observations" else None


@pytest.mark.parametrize("name", EVERY_TASK)
def test_every_feature_runs_or_is_refused_and_the_designer_knows_which(name: str) -> None:
    task = make_task(name)
    views = sample_states(task)
    for feature, scope in itertools.product(EVERY_FEATURE, ("own", "team")):
        signal = scoped(feature, scope)
        refused = "" if signal is None else refusal(signal, task.card)
        assert showable(feature, task.card, scope) == (refused is None), (feature, scope, refused)
        if refused:
            assert ": use " in refused
        if refused is None:
            program = build_program(signal, task.card)
            for where, view in views.items():
                found = program.features(view.obs, None)
                assert bool(found.isfinite().all()), (feature, where)


def test_no_task_is_a_card_without_entities_yet_it_may_come() -> None:
    """The same on a card that names nothing, as one of an external environment may be."""
    for term in EVERY_TERM:
        assert (refusal(rewarding(term), BARE) is None) == (term.kind == "native")
    for feature, scope in itertools.product(EVERY_FEATURE, ("own", "team")):
        if (signal := scoped(feature, scope)) is not None:
            assert (refusal(signal, BARE) is None) == (feature.kind == "teammate_observations")


BARE = TaskCard(
    name="toy/bare",
    description="Two of something do something.",
    agents=2,
    actions=ContinuousActions(meanings=(("push",),) * 2),
    observation_size=3,
    horizon=4,
    fields=(),
    observation=(),
    metrics=(Metric(name="return", unit="one", meaning="return"),),
    score="return",
    sparsity="dense",
)


# ---------------------------------------------------------------- what the offline designer draws


@pytest.mark.parametrize("scope", ["own", "team"])
@pytest.mark.parametrize("name", EVERY_TASK[:-1])
def test_drafts_of_the_offline_designer_pass_all_checks(name: str, scope: Scope) -> None:
    """A first round and their children, which answer findings that differ."""
    task = make_task(name)
    samples = few_samples(task)
    parents: list[Elite] = []
    failures = iter(itertools.cycle(("overlap", "exploration", "precision", "collision", "communication", "none")))
    for number in range(2):
        diagnosis = Diagnosis(
            summary="so", findings=tuple(Finding(failure=next(failures), advice="mend it") for _ in range(2))
        )
        brief = ProposalBrief(
            task=task.card, count=2, evolve="both", scope=scope, signals="config", reward_mode="replace", stage=1,
            round=number + 1, elites=tuple(parents), diagnosis=diagnosis if parents else None, seed=number,
        )  # fmt: skip
        proposals = OfflineGenerator().propose(brief)
        assert len(proposals) == 2
        for proposal in proposals:
            check_signal(proposal.signal, task, scope, samples)
        parents = [elite(f"r{number}c{place}", one.signal) for place, one in enumerate(proposals)]


def elite(id: str, signal: Signal) -> Elite:
    candidate = Candidate(id=id, stage=1, round=1, author="x", kind="new", rationale="so", signal=signal)
    evaluation = Evaluation(candidate=id, branch=id, seeds=(0,), steps=1, score=0.5, scores=(0.5,))
    return Elite(candidate=candidate, code="", evaluation=evaluation)


# ---------------------------------------------------------------- targets that vanish

FORAGE = TaskCard(
    name="toy/forage",
    description="Two agents eat three foods.",
    agents=2,
    actions=DiscreteActions(meanings=(("stay", "eat"),) * 2),
    observation_size=14,
    horizon=4,
    fields=tuple(
        StateField(name=name, shape=shape, unit="cells", meaning=name)
        for name, shape in (("agent_pos", "[B, N, 2]"), ("food_pos", "[B, M, 2]"), ("food_level", "[B, M]"))
    ),
    observation=(
        ObservationPart(
            name="foods", start=0, stop=9, kind="position", of="food", stride=3, unseen=-1, meaning="row, column, level"
        ),
        ObservationPart(name="place", start=9, stop=11, kind="position", of="self", meaning="own"),
        ObservationPart(
            name="other", start=11, stop=14, kind="position", of="agent", stride=3, unseen=-1, meaning="the other"
        ),
    ),
    entities=(
        Entity(name="agent", count=2, position="agent_pos", radius=0.5),
        Entity(name="food", count=3, position="food_pos", present="food_level", radius=0.5),
    ),
    target="food",
    reach=1.1,
    metrics=(Metric(name="eaten", unit="foods", meaning="eaten"),),
    score="eaten",
    sparsity="sparse",
)
AGENTS = ((0, 0), (0, 4))
FOODS = ((0, 1), (0, 2), (0, 5))


def forage(levels: tuple[int, ...], agents: object = AGENTS, before: object = AGENTS) -> StateView:
    def fields(places: object) -> dict[str, torch.Tensor]:
        # The simulator counts in whole cells.
        return {
            "agent_pos": torch.tensor([places]),
            "food_pos": torch.tensor([FOODS]),
            "food_level": torch.tensor([levels]),
        }

    common = {"reward": torch.zeros(1, 2), "gamma": 0.9, "training_progress": torch.tensor([0.5])}
    return StateView({**common, **fields(agents), "prev": StateView({**common, **fields(before)})})


def reward(term: Term, state: StateView, card: TaskCard = FORAGE) -> list[float]:
    total, _ = build_program(rewarding(term), card).reward(state, 1, card.agents)
    return [round(value, 5) for value in total[0].tolist()]


@pytest.mark.parametrize(
    ("term", "all_there", "first_gone", "none_left"),
    [
        (Approach(assignment="nearest"), [-1, -1], [-2, -1], [0, 0]),
        # Summed distances: 1 + 3, 2 + 2, 5 + 1: of two equals the first.
        (Approach(assignment="together"), [-1, -3], [-2, -2], [0, 0]),
        (Approach(assignment="nearest", form="exponential", scale=1), [0.36788] * 2, [0.13534, 0.36788], [1, 1]),
        (Reach(assignment="nearest", threshold=1.1), [1, 1], [0, 1], [0, 0]),
        (Reach(assignment="together", threshold=1.1), [1, 0], [0, 0], [0, 0]),
        (UniqueCoverage(threshold=1.1, credit="team"), [round(2 / 3, 5)] * 2, [0.5, 0.5], [0, 0]),
        (UniqueCoverage(threshold=1.1), [1, 1], [0, 1], [0, 0]),
        (TeamDistance(), [round(-4 / 3, 5)] * 2, [-1, -1], [0, 0]),
        (TeamSuccess(threshold=2.1), [1, 1], [1, 1], [0, 0]),
        (TeamSuccess(threshold=1.1), [0, 0], [0, 0], [0, 0]),
    ],
    ids=lambda value: value.kind if isinstance(value, Term) else "",
)
def test_targets_that_are_gone_count_as_terms_say(
    term: Term, all_there: list[float], first_gone: list[float], none_left: list[float]
) -> None:
    assert reward(term, forage((1, 1, 2))) == pytest.approx(all_there, abs=1e-4)
    assert reward(term, forage((0, 1, 2))) == pytest.approx(first_gone, abs=1e-4)
    assert reward(term, forage((0, 0, 0))) == pytest.approx(none_left, abs=1e-4)


def test_eating_is_no_step_back() -> None:
    """Progress asks about the target that is left, also for the time when another one was nearer."""
    eaten = forage((0, 1, 2), agents=((0, 0), (0, 3)))
    eaten.prev.food_level = torch.tensor([[1, 1, 2]])
    assert reward(Progress(assignment="nearest"), eaten) == [0, 1]
    gone = forage((0, 0, 0), agents=((0, 1), (0, 3)))
    gone.prev.food_level = torch.tensor([[0, 1, 0]])
    assert reward(Progress(assignment="together"), gone) == [0, 0]


SEEN = [[0, 1, 1], [0, 2, 1], [0, 5, 2]]
GONE = [-1, -1, 0]


def forage_row(foods: list[list[int]], own: list[int], other: list[int]) -> list[float]:
    return [float(value) for triple in (*foods, own, other) for value in triple]


FORAGE_OBS = torch.tensor([
    # All is seen; one food is gone and the other agent out of sight; nothing is left.
    [forage_row(SEEN, [0, 0], [0, 4, 1]), forage_row(SEEN, [0, 4], [0, 0, 1])],
    [forage_row([*SEEN[1:], GONE], [0, 0], GONE), forage_row([*SEEN[1:], GONE], [0, 4], [0, 0, 1])],
    [forage_row([GONE] * 3, [0, 0], [0, 4, 1]), forage_row([GONE] * 3, [0, 4], [0, 0, 1])],
])  # fmt: skip


@pytest.mark.parametrize(
    ("feature", "expected"),
    [
        (TargetOffset(), [[[0, 1], [0, 1]], [[0, 2], [0, 1]], [[0, 0], [0, 0]]]),
        (TargetOffset(assignment="together"), [[[0, 1], [0, -3]], [[0, 2], [0, -2]], [[0, 0], [0, 0]]]),
        (TargetDistance(assignment="together"), [[[1], [3]], [[2], [2]], [[0], [0]]]),
        (TargetIndex(), [[[1, 0, 0], [0, 0, 1]], [[1, 0, 0], [0, 1, 0]], [[0, 0, 0], [0, 0, 0]]]),
        (ThresholdMargin(threshold=1.5), [[[0.5], [0.5]], [[-0.5], [0.5]], [[-1.5], [-1.5]]]),
        (TargetDistances(), [[[1, 2, 5], [3, 2, 1]], [[2, 5, 0], [2, 1, 0]], [[0, 0, 0], [0, 0, 0]]]),
        (TargetClaims(), [[[1, 1, 0], [0, 1, 1]], [[1, 1, 0], [1, 1, 0]], [[0, 0, 0], [0, 0, 0]]]),
        (AgentDistances(), [[[4], [4]], [[0], [4]], [[4], [4]]]),
        (NearestAgentOffset(), [[[0, 4], [0, -4]], [[0, 0], [0, -4]], [[0, 4], [0, -4]]]),
    ],
    ids=lambda value: value.kind if isinstance(value, Feature) else "",
)
def test_features_of_positions_and_of_what_is_not_seen(feature: Feature, expected: list[object]) -> None:
    found = build_program(observing(feature), FORAGE).features(FORAGE_OBS, None)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float32))


@pytest.mark.parametrize("name", ["lbf/8x8-2p-2f-coop", "lbf/15x15-4p-5f"])
def test_agents_that_see_all_agree_on_the_one_target(name: str) -> None:
    task = make_task(name)
    chosen = build_program(observing(TargetIndex(assignment="together")), task.card).features(
        random_play(task).obs, None
    )
    assert torch.equal(chosen, chosen[:, :1].expand_as(chosen))


# ---------------------------------------------------------------- targets of one's own


def goal_view(task: Task, goals: list[int]) -> StateView:
    """The agents stand at landmarks 0 and 1, and these are their goals."""
    view = random_play(task).rows(slice(0, 1))
    place = torch.tensor([[[0.0, 0.0], [1.0, 0.0]]])
    landmarks = torch.cat((place, torch.tensor([[[0.0, 3.0]]])), 1)
    fields = {"agent_pos": place, "landmark_pos": landmarks, "goal": torch.tensor([goals])}
    return StateView({**vars(view), **fields, "prev": StateView({**vars(view.prev), **fields})})


@pytest.mark.parametrize(
    ("term", "goals", "expected"),
    [
        (Approach(assignment="own"), [0, 0], [0, -1]),
        (Approach(assignment="own"), [2, 1], [-3, 0]),
        (Reach(assignment="own", threshold=0.5), [1, 1], [0, 1]),
        (SlowNearTarget(assignment="own"), [2, 2], [0, 0]),
        (TeamDistance(), [2, 1], [-1.5, -1.5]),
        (TeamDistance(), [1, 0], [-1, -1]),
        (TeamSuccess(threshold=0.5), [0, 1], [1, 1]),
        (TeamSuccess(threshold=0.5), [1, 0], [0, 0]),  # both are at a landmark, but at the other's
        (TeamSuccess(threshold=0.5), [1, 1], [0, 0]),  # whoever shares a goal must come to it too
        (TeamDistance(), [1, 1], [-0.5, -0.5]),
        (UniqueCoverage(threshold=0.5, credit="team"), [1, 1], [0.5, 0.5]),
        (UniqueCoverage(threshold=0.5, credit="team"), [0, 2], [0.5, 0.5]),
        (UniqueCoverage(threshold=0.5), [0, 0], [1, 0]),
        (UniqueCoverage(threshold=2), [0, 0], [1, 1]),
        # -1: none
        (Approach(assignment="own"), [-1, 0], [0, -1]),
        (Approach(assignment="own", form="exponential", scale=1.0), [0, -1], [1, 0]),
        (Reach(assignment="own", threshold=0.5), [-1, 1], [0, 1]),
        (SlowNearTarget(assignment="own"), [-1, -1], [0, 0]),
        (TeamDistance(), [-1, 2], [-(10**0.5), -(10**0.5)]),
        (TeamDistance(), [-1, -1], [0, 0]),
        (TeamSuccess(threshold=0.5), [-1, 1], [1, 1]),
        (TeamSuccess(threshold=0.5), [-1, 0], [0, 0]),
        (TeamSuccess(threshold=0.5), [-1, -1], [0, 0]),
        (UniqueCoverage(threshold=0.5, credit="team"), [-1, 1], [1, 1]),
        (UniqueCoverage(threshold=0.5), [-1, 1], [0, 1]),
    ],
    ids=lambda value: value.kind if isinstance(value, Term) else "",
)
def test_a_goal_is_whose_it_is(term: Term, goals: list[int], expected: list[float]) -> None:
    task = make_task("mpe/simple_reference")
    assert reward(term, goal_view(task, goals), task.card) == pytest.approx(expected)


@pytest.mark.parametrize(
    "term",
    [
        TeamDistance(),
        TeamSuccess(threshold=0.5),
        UniqueCoverage(threshold=0.5, credit="team"),
        UniqueCoverage(threshold=0.5),
        Approach(assignment="own", credit="team"),
        Approach(assignment="own", form="exponential"),
        Progress(assignment="own", credit="team"),
        Reach(assignment="own", threshold=0.5),
        SlowNearTarget(assignment="own", threshold=0.5),
    ],
    ids=lambda term: f"{term.kind}-{term.credit}",
)
def test_the_place_of_a_speaker_that_cannot_move_changes_no_reward(term: Term) -> None:
    task = make_task("mpe/simple_speaker_listener")
    view = random_play(task)
    listener = view.goal[:, 1]
    # Now and before, the speaker stands on the listener's target.
    there = {}
    for name, state in (("now", view), ("before", view.prev)):
        place = state.agent_pos.clone()
        place[:, 0] = state.landmark_pos[torch.arange(len(place)), listener]
        there[name] = {**vars(state), "agent_pos": place}
    moved = StateView({**there["now"], "prev": StateView(there["before"])})
    program = build_program(rewarding(term), task.card)
    found, same = (program.reward(state, *state.goal.shape)[1] for state in (view, moved))
    assert found.keys() == same.keys()
    for name, value in found.items():
        assert torch.equal(value, same[name])
        assert bool(value.any())


def test_own_features_need_an_observation_that_tells_the_goal() -> None:
    task = make_task("mpe/simple_reference")
    with pytest.raises(
        SignalError, match='do not observe their own goal: use \'nearest\', or set "scope": "team" in the config'
    ):
        to_code(observing(TargetOffset(assignment="own")), task.card)
    state = random_play(task)
    shared = build_program(observing(TargetIndex(assignment="own"), scope="team"), task.card)
    assert torch.equal(shared.features(state.obs, None).argmax(-1), state.goal)


def test_a_feature_is_zero_for_agents_that_do_not_observe_what_it_reads() -> None:
    task = make_task("mpe/simple_speaker_listener")
    state = random_play(task)
    features = (TargetOffset(assignment="own"), ThresholdMargin(assignment="own"), TeammateObservations())
    found = build_program(observing(*features, scope="team"), task.card).features(state.obs, None)
    offset = state.landmark_pos[torch.arange(len(state.goal)), state.goal[:, 1]] - state.agent_pos[:, 1]
    torch.testing.assert_close(found[:, 1, :2], offset, atol=1e-5, rtol=0)
    torch.testing.assert_close(found[:, 1, 2], 0.1 - offset.norm(dim=-1), atol=1e-5, rtol=0)
    assert not bool(found[:, 0, :3].any())
    assert bool(found[:, 0, 3:].any())


@pytest.mark.parametrize(
    ("name", "signal", "words"),
    [
        ("lbf/8x8-2p-2f-coop", rewarding(Approach(assignment="own")), "vanish: use 'nearest' or 'together'"),
        ("lbf/8x8-2p-2f-coop", rewarding(Approach(assignment="optimal")), "vanish: use 'nearest' or 'together'"),
        ("lbf/8x8-2p-2f-coop", rewarding(SlowNearTarget()), "velocities"),
        ("mpe/simple_reference", observing(AgentDistances()), "where each 'agent' is"),
        ("mpe/simple_spread?agents=1", observing(AgentDistances()), "one alone"),
    ],
)
def test_refusals_say_what_to_use(name: str, signal: Signal, words: str) -> None:
    said = refusal(signal, make_task(name).card)
    assert said is not None
    assert words in said
