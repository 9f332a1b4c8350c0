"""The validator's word on a promotion: asked once, after the statistics, and able to refuse but not to promote."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from graph_fakes import (
    Equipment,
    FakeExecutor,
    ScriptedGenerator,
    ScriptedValidator,
    make_settings,
    proposal,
    weight_of,
)

from marlsmith.graph.run import WaitingForApproval, resume, start
from marlsmith.schemas import EndpointError, Review, ReviewBrief

VETO = Review(approve=False, reasons=("the shaped return rose while the score fell",))


def run(path: Path, validator: ScriptedValidator | None, executor: FakeExecutor | None = None, **settings: object):
    equipment = Equipment(executor, validator=validator)
    return list(start(make_settings(**{"rounds": 1, **settings}), equipment, path))


def reviews(events: list[dict]) -> list[dict]:
    return [event for event in events if event["event"] == "promotion_review"]


def test_a_veto_keeps_the_signal_out_and_says_who_and_why(tmp_path):
    events = run(tmp_path / "run", ScriptedValidator(second=VETO))
    finished, (review,) = events[-1], reviews(events)
    assert (review["approve"], review["reasons"]) == (False, list(VETO.reasons))
    assert finished["promoted"] is False
    assert finished["reason"] == (
        "scripted validator vetoed the promotion, which the statistics accept: "
        "the shaped return rose while the score fell"
    )
    assert finished["gain"]["mean"] > 0
    assert list((tmp_path / "run/main").iterdir()) == []
    assert finished["validator"] == {"refused": 0, "vetoed": 1, "steps_saved": 0}


def test_an_approval_promotes_and_the_brief_holds_the_numbers(tmp_path):
    validator = ScriptedValidator()
    events = run(tmp_path / "run", validator)
    assert events[-1]["promoted"] is True
    (brief,) = validator.confirmed
    assert brief.evaluation.branch == f"{brief.candidate.id}-confirm"
    assert brief.control.branch == "control-s1-confirm"
    assert brief.verdict.decision == "accept"
    assert brief.verdict.gain == pytest.approx(events[-1]["gain"]["mean"])
    assert brief.code.startswith("#")


def test_what_the_statistics_refuse_no_validator_is_asked_about(tmp_path):
    validator = ScriptedValidator()
    events = run(tmp_path / "run", validator, FakeExecutor(effect=0.0), seed=1)
    assert validator.confirmed == reviews(events) == []
    assert events[-1]["promoted"] is False


def test_it_is_asked_once_also_when_the_run_is_resumed(tmp_path):
    with pytest.raises(WaitingForApproval):
        run(tmp_path / "run", ScriptedValidator(), approve=True)
    (tmp_path / "run/graph.sqlite").unlink()
    changed = Equipment(validator=ScriptedValidator(second=VETO))
    with pytest.raises(WaitingForApproval):
        list(resume(tmp_path / "run", changed))
    assert changed.validator.confirmed == []


def test_a_dead_validator_pauses_the_run_before_the_promotion(tmp_path):
    with pytest.raises(EndpointError):
        run(tmp_path / "run", ScriptedValidator(second=EndpointError("nobody answers")))
    mended = Equipment(validator=ScriptedValidator())
    events = list(resume(tmp_path / "run", mended))
    assert events[-1]["promoted"] is True
    assert mended.executor.trained == []


def test_without_a_validator_nothing_is_reviewed(tmp_path):
    equipment = Equipment()
    equipment.validator = None
    events = list(start(make_settings(rounds=1), equipment, tmp_path / "run"))
    assert reviews(events) == []
    assert events[-1]["validator"] is None
    assert events[-1]["promoted"] is True


def test_the_effect_counts_slots_that_were_never_trained(tmp_path):
    """Of two refused candidates one is mended and trained, so that one training is saved: 4 seeds of a rollout."""
    script = {(1, 0): [proposal(1.0), proposal(2.0), proposal(3.0)], (1, 1): [proposal(2.5, "s1r1c2")]}
    equipment = Equipment(None, ScriptedGenerator(script), validator=ScriptedValidator(vetoes=["s1r1c2", "s1r1c3"]))
    finished = list(start(make_settings(rounds=1), equipment, tmp_path / "run"))[-1]
    assert finished["validator"] == {"refused": 2, "vetoed": 0, "steps_saved": 400 * 4}


def test_the_reviews_of_a_round_are_asked_at_the_same_time(tmp_path):
    meeting = threading.Barrier(3, timeout=5)

    class Meeting(ScriptedValidator):
        def review(self, brief: ReviewBrief) -> Review:
            meeting.wait()
            return Review(approve=weight_of(brief.candidate.signal) < 5)

    script = {(1, 0): [proposal(1.0), proposal(9.0), proposal(3.0)]}
    equipment = Equipment(None, ScriptedGenerator(script), validator=Meeting())
    events = list(start(make_settings(rounds=1, repairs=0), equipment, tmp_path / "run"))
    checks = [(e["candidate"], e["accepted"]) for e in events if e["event"] == "check"]
    assert checks == [("s1r1c1", True), ("s1r1c2", False), ("s1r1c3", True)]
