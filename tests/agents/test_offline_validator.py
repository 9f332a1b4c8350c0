"""The offline validator: it refuses what cannot be meant, and passes whatever may be sound."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from marlsmith.agents.offline import OfflineGenerator, OfflineValidator
from marlsmith.marl.tasks import make_task
from marlsmith.schemas import (
    Approach,
    Candidate,
    CurvePoint,
    Evaluation,
    Native,
    ObservationConfig,
    PromotionBrief,
    ProposalBrief,
    Review,
    ReviewBrief,
    RewardConfig,
    Signal,
    TeammateObservations,
    TeamSuccess,
    TermStatistics,
    Verdict,
)

CARD = make_task("mpe/simple_spread").card
FORAGING = make_task("lbf/8x8-2p-2f-coop").card


def candidate(signal: Signal) -> Candidate:
    return Candidate(id="s1r1c1", stage=1, round=1, author="x", kind="new", rationale="because", signal=signal)


def rewarding(*terms: dict[str, object], **fields: object) -> Signal:
    return Signal(reward=RewardConfig.model_validate({"terms": terms, **fields}))


def reviewed(signal: Signal, **changes: object) -> tuple[bool, str]:
    plain = {"task": CARD, "candidate": candidate(signal), "code": "", "scope": "own", "reward_mode": "replace"}
    review = OfflineValidator().review(ReviewBrief.model_validate({**plain, **changes}))
    return review.approve, " ".join(review.reasons)


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ([{"kind": "approach", "weight": -1}], "opposite"),
        ([{"kind": "approach", "weight": 0}], "zero"),
        ([{"kind": "collision"}], "only penalties"),
    ],
)
def test_rewards_that_cannot_be_meant_are_refused(terms: list[dict[str, object]], words: str) -> None:
    approved, reasons = reviewed(Signal(reward=RewardConfig.model_validate({"terms": terms})))
    assert not approved
    assert words in reasons


def test_the_native_reward_alone_is_approved_with_a_remark() -> None:
    approved, reasons = reviewed(Signal(reward=RewardConfig(terms=(Native(),))))
    assert approved
    assert "teaches nothing where it is rare" in reasons
    assert "rare" not in reviewed(Signal(reward=RewardConfig(terms=(Native(), Approach()))))[1]


def test_an_alpha_that_silences_a_part_is_refused() -> None:
    approved, reasons = reviewed(Signal(reward=RewardConfig(alpha=1.0, terms=(Approach(), TeamSuccess()))))
    assert not approved
    assert "switches the team terms off" in reasons


def test_penalties_may_be_added_to_the_native_reward() -> None:
    collision = Signal(reward=RewardConfig.model_validate({"terms": [{"kind": "collision"}]}))
    assert reviewed(collision, reward_mode="add")[0]


def test_team_features_are_refused_under_own_scope() -> None:
    team = Signal(observation=ObservationConfig(scope="team", features=(TeammateObservations(),)))
    assert not reviewed(team)[0]
    assert reviewed(team, scope="team")[0]


@pytest.mark.parametrize("task", ["mpe/simple_spread", "mpe/simple_reference", "lbf/8x8-2p-2f-coop"])
@pytest.mark.parametrize("mode", ["replace", "add"])
def test_what_the_offline_designer_means_is_never_refused(task: str, mode: str) -> None:
    card = make_task(task).card
    for seed in range(20):
        brief = ProposalBrief(
            task=card, count=4, evolve="both", scope="own", signals="any", reward_mode=mode, stage=1, round=1, seed=seed
        )
        for proposal in OfflineGenerator().propose(brief):
            assert reviewed(proposal.signal, task=card, reward_mode=mode) == (
                True, "signs, credit and scope are consistent"
            )  # fmt: skip


@pytest.mark.parametrize("kind", ["reach", "unique_coverage", "team_success"])
def test_a_threshold_in_the_wrong_unit_is_refused(kind: str) -> None:
    approved, reasons = reviewed(rewarding({"kind": "approach"}, {"kind": kind, "threshold": 10.0}))
    assert not approved
    assert "nearly everywhere: a target counts as reached at 0.1" in reasons
    assert reviewed(rewarding({"kind": "approach"}, {"kind": kind, "threshold": 0.5}))[0]


def test_standing_beside_what_should_be_collected_must_not_pay() -> None:
    bonus = {"kind": "reach", "threshold": 1.1}
    approved, reasons = reviewed(rewarding(bonus), task=FORAGING)
    assert not approved
    assert "sparing them earns more" in reasons
    for sound in (rewarding({**bonus, "potential": True}), rewarding(bonus, {"kind": "native"})):
        assert reviewed(sound, task=FORAGING)[0]
    assert reviewed(rewarding(bonus), task=FORAGING, reward_mode="add")[0]
    assert reviewed(rewarding({"kind": "reach", "threshold": 0.1}))[0], "where targets stay, standing there is the task"


def test_a_native_reward_turned_round_is_refused() -> None:
    assert "opposite" in reviewed(rewarding({"kind": "approach"}, {"kind": "native", "weight": -1}))[1]


# ---------------------------------------------------------------- before a promotion


def confirmed(scores: Sequence[float], shaped: Sequence[float], gain: float = 0.2, **changes: object) -> Review:
    curve = [
        CurvePoint(steps=i, score=a, native_return=0, shaped_return=b)
        for i, (a, b) in enumerate(zip(scores, shaped, strict=True))
    ]
    common = {"candidate": "s1r1c1", "branch": "b", "seeds": (0, 1), "steps": 9, "score": 0.6, "scores": (0.6, 0.6)}
    evaluation = Evaluation.model_validate({**common, "curve": curve, "terms": changes.pop("terms", {})})
    plain = {
        "task": CARD,
        "candidate": candidate(rewarding({"kind": "approach"})),
        "code": "",
        "scope": "own",
        "reward_mode": "replace",
        "verdict": Verdict(decision="accept", reason="", gain=gain),
        "evaluation": evaluation,
        "control": evaluation,
    }
    return OfflineValidator().confirm(PromotionBrief.model_validate({**plain, **changes}))


UP, DOWN = [0.1 * i for i in range(9)], [0.9 - 0.1 * i for i in range(9)]


@pytest.mark.parametrize(
    ("scores", "shaped", "gain", "approved"),
    [
        (DOWN, UP, 0.2, False),
        ([0.1, 0.2, 0.3, 0.9, 0.9, 0.9, 0.4, 0.4, 0.4], UP, 0.2, False),  # it rose first
        (DOWN, UP, 0.7, True),  # what is left is still more than what was lost
        (UP, UP, 0.2, True),
        (DOWN, DOWN, 0.2, True),  # both fall: no hacking
        ([0.5, 0.6] * 4 + [0.4], UP, 0.2, True),  # noise
        ([0.9, 0.1], [0.0, 1.0], 0.2, True),  # too short to say
    ],
)
def test_hacking_is_vetoed_with_its_numbers(
    scores: list[float], shaped: list[float], gain: float, approved: bool
) -> None:
    review = confirmed(scores, shaped, gain)
    assert review.approve is approved
    assert approved or "while the score fell from" in review.reasons[0]


def test_eyes_that_deployment_lacks_are_vetoed() -> None:
    team = Signal(observation=ObservationConfig(scope="team", features=(TeammateObservations(),)))
    assert not confirmed(UP, UP, candidate=candidate(team)).approve
    assert confirmed(UP, UP, candidate=candidate(team), scope="team").approve


def test_one_term_that_drowns_the_others_is_a_remark_and_no_veto() -> None:
    terms = {"a": TermStatistics(mean=1, spread=1, share=0.97), "b": TermStatistics(mean=0, spread=0, share=0.03)}
    review = confirmed(UP, UP, terms=terms)
    assert review.approve
    assert "the term a makes up nearly all" in review.reasons[1]
