"""The offline critic: rules over evidence, each finding with the number that it stands on."""

from __future__ import annotations

import pytest

from marlsmith.agents.offline import OfflineCritic
from marlsmith.graph.briefing.history import PROMOTED, Attempt, history_line
from marlsmith.marl.tasks import make_task
from marlsmith.schemas import (
    Approach,
    Candidate,
    Citation,
    Diagnosis,
    DiagnosisBrief,
    Elite,
    Evaluation,
    Finding,
    RewardConfig,
    Signal,
    TaskCard,
)

CARD = make_task("mpe/simple_spread").card
FORAGING = make_task("lbf/8x8-2p-2f-coop").card
REFERENCE = make_task("mpe/simple_reference").card
SIGNAL = Signal(reward=RewardConfig(terms=(Approach(),)))
PARENT = Elite(
    candidate=Candidate(id="s1r1c1", stage=1, round=1, author="x", kind="new", rationale="because", signal=SIGNAL),
    code="",
    evaluation=Evaluation(candidate="s1r1c1", branch="s1r1c1", seeds=(0,), steps=1, score=0.5, scores=(0.5,)),
)


def diagnosed(evidence: dict[str, float], elites: tuple[Elite, ...] = (PARENT,), task: TaskCard = CARD) -> Diagnosis:
    return OfflineCritic().diagnose(DiagnosisBrief(task=task, stage=1, round=2, evidence=evidence, elites=elites))


@pytest.mark.parametrize(
    ("key", "value", "failure"),
    [
        ("behaviour.overlap", 0.6, "overlap"),
        ("behaviour.distance_nearest_end", 0.8, "exploration"),
        ("behaviour.distance_own_end", 0.8, "exploration"),
        ("behaviour.rewarded_steps", 0.0, "exploration"),
        ("behaviour.message_information", 0.1, "communication"),
        ("behaviour.near_miss", 0.3, "precision"),
        ("behaviour.left_after_reaching", 0.3, "precision"),
        ("behaviour.crowded", 0.4, "collision"),
        ("spread", 0.5, "instability"),
        ("term.approach.share", 0.95, "credit_assignment"),
    ],
)
def test_each_rule_speaks_and_cites_its_number(key: str, value: float, failure: str) -> None:
    evidence = {"s1r1c1.score": 0.4, f"s1r1c1.{key}": value, "s1r1c1.term.reach.share": 0.05}
    diagnosis = diagnosed(evidence)
    assert diagnosis.findings[0].failure == failure
    assert diagnosis.findings[0].evidence == (Citation(key=f"s1r1c1.{key}", value=value),)
    assert "0.40" in diagnosis.summary


def test_findings_fit_the_task() -> None:
    """Two at one target are no fault where targets need several, and how far is far depends on the reach."""
    together = {"s1r1c1.score": 0.4, "s1r1c1.behaviour.overlap": 0.9, "s1r1c1.behaviour.distance_nearest_end": 3.0}
    assert diagnosed(together, task=FORAGING).findings[0].failure == "none"
    assert {finding.failure for finding in diagnosed(together).findings} == {"overlap", "exploration"}
    often = {"s1r1c1.score": 0.4, "s1r1c1.behaviour.rewarded_steps": 0.2, "s1r1c1.behaviour.message_information": 0.8}
    assert diagnosed(often).findings[0].failure == "none"


def test_rising_reward_and_falling_score_is_reward_hacking() -> None:
    evidence = {"s1r1c1.score": 0.4, "s1r1c1.trend.shaped_return": 3.0, "s1r1c1.trend.score": -0.2}
    assert diagnosed(evidence).findings[0].failure == "reward_hacking"
    assert diagnosed({**evidence, "s1r1c1.trend.score": 0.2}).findings[0].failure == "none"


def test_where_one_training_is_adapted_it_is_the_subject() -> None:
    evidence = {"main.score": 0.2, "main.behaviour.overlap": 0.6, "s1r1c1.score": 0.4, "s1r1c1.behaviour.crowded": 0.9}
    diagnosis = diagnosed(evidence)
    assert [finding.evidence[0].key for finding in diagnosis.findings] == ["main.behaviour.overlap"]
    assert diagnosis.summary.startswith("the main run scores 0.20")
    assert diagnosed({"main.score": 0.2}, ()).findings[0].evidence == (Citation(key="main.score", value=0.2),)
    hacked = {"main.score": 0.4, "main.trend.shaped_return": 3.0, "main.trend.score": -0.2}
    assert diagnosed(hacked).findings[0].failure == "reward_hacking"


@pytest.mark.parametrize(("end", "failure"), [(0.15, "precision"), (0.8, "exploration")])
def test_who_is_near_and_not_paid_needs_precision_and_no_search(end: float, failure: str) -> None:
    keys = ("main.behaviour.distance_nearest_end", "main.behaviour.rewarded_steps")
    finding, *others = diagnosed({"main.score": 0.0, keys[0]: end, keys[1]: 0.0}).findings
    assert finding.failure == failure
    assert all(other.failure == failure for other in others)
    if failure == "precision":
        assert finding.evidence == (Citation(key=keys[0], value=end), Citation(key=keys[1], value=0.0))
    assert diagnosed({"main.score": 0.9, keys[0]: 0.2, keys[1]: 0.5}).findings[0].failure == "none"


def test_a_bonus_that_nobody_earns_asks_for_the_way_to_it() -> None:
    """A charge that nobody has to pay is no fault."""
    earned = {"main.score": 0.4, "main.term.approach_own.share": 0.6, "main.term.native.share": 0.4}
    silent = diagnosed({**earned, "main.term.team_success_0_1.share": 0.0})
    assert silent.findings[0].failure == "exploration"
    assert silent.findings[0].evidence == (Citation(key="main.term.team_success_0_1.share", value=0.0),)
    assert diagnosed({**earned, "main.term.collision_0_3.share": 0.0}).findings[0].failure == "none"


def test_what_was_diagnosed_in_vain_makes_way_for_other_findings() -> None:
    worst_first = {"main.score": 0.4, "main.behaviour.overlap": 0.9, "main.behaviour.crowded": 0.1}
    found = Diagnosis(summary="s", findings=(Finding(failure="overlap", advice="a"),))
    refused = history_line(1, 1, found, [Attempt("s1r1c1", "w", 0.0, "refused: why")])
    promoted = history_line(1, 2, found, [Attempt("s1r2c1", "w", 0.2, PROMOTED)])

    def first(*history: str) -> str:
        brief = DiagnosisBrief(task=CARD, stage=1, round=2, evidence=worst_first, history=history)
        return OfflineCritic().diagnose(brief).findings[0].failure

    assert first() == "overlap"
    assert first(refused) == "collision"
    assert first(refused, promoted) == "overlap", "under another signal the same remedy may hold"
    assert first(refused, promoted, refused) == "collision"


def test_words_that_tell_nothing_are_no_fault_where_agents_get_to_their_targets() -> None:
    """Who sees the other's observation, as team scope allows, has no need to be told."""
    mute = {"main.score": 0.9, "main.behaviour.message_information": 0.01}
    for end, failures in ((0.05, ["none"]), (0.2, ["communication"])):
        found = diagnosed({**mute, "main.behaviour.distance_own_end": end}, task=REFERENCE).findings
        assert [finding.failure for finding in found] == failures


def test_every_citation_stands_in_the_evidence() -> None:
    evidence = {f"s1r1c1.{key}": 0.9 for key in ("score", "spread", "behaviour.overlap", "behaviour.crowded", "gain")}
    for finding in diagnosed(evidence).findings:
        for cited in finding.evidence:
            assert evidence[cited.key] == cited.value


def test_without_evidence_nothing_is_claimed() -> None:
    assert diagnosed({}, ()).findings == ()
