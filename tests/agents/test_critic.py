"""The critic played by a model, and the grounding that every critic goes through."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from marlsmith.agents.asking.accounting.accounts import Accounts
from marlsmith.agents.asking.address import parse_model
from marlsmith.agents.asking.client import Client
from marlsmith.agents.asking.wire.endpoint import Endpoint
from marlsmith.agents.critic import ModelCritic, grounded
from marlsmith.agents.offline import OfflineCritic
from marlsmith.schemas import Citation, Diagnosis, Finding


@pytest.fixture
def client(chat_endpoint: Callable[..., Any], tmp_path: Path) -> Callable[[Any], tuple[Client, Any]]:
    def make(content: Any) -> tuple[Client, Any]:
        endpoint = chat_endpoint(content if callable(content) or isinstance(content, str) else json.dumps(content))
        accounts = Accounts(tmp_path / "llm.jsonl")
        return Client(Endpoint(parse_model(endpoint.spec("good")), accounts, backoff=0.0), accounts), endpoint

    return make


def diagnosis(*citations: tuple[str, float], failure: str = "overlap") -> Diagnosis:
    evidence = tuple(Citation(key=key, value=value) for key, value in citations)
    return Diagnosis(summary="s", findings=(Finding(failure=failure, evidence=evidence, advice="a"),))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("key", "value", "holds"),
    [
        ("overlap", 0.375, True),
        ("overlap", 0.3785, True),  # within 1%
        ("overlap", 0.3795, False),
        ("overlap", 0.385, False),
        ("collisions", 40.4, True),  # within 1%
        ("collisions", 40.5, False),
        ("invented", 1.0, False),
        ("rare", 0.002, True),
        ("rare", 0.006, False),
        ("zero", 0.0, True),
        ("zero", 0.004, False),
        ("long", 0.1235, True),  # as it was shown
    ],
)
def test_grounded(records: ModuleType, key: str, value: float, holds: bool) -> None:
    evidence = {**records.diagnosis_brief().evidence, "rare": 0.002, "zero": 0.0, "long": 0.123456789}
    kept, faults = grounded(diagnosis((key, value)), evidence)
    assert len(kept.findings) == int(holds)
    assert len(faults) == int(not holds)


def test_what_holds_is_kept_and_none_needs_no_evidence(records: ModuleType) -> None:
    evidence = records.diagnosis_brief().evidence
    kept, faults = grounded(diagnosis(("overlap", 0.375), ("invented", 1)), evidence)
    assert [citation.key for citation in kept.findings[0].evidence] == ["overlap"]
    assert len(faults) == 1
    assert grounded(diagnosis(failure="none"), evidence) == (diagnosis(failure="none"), [])
    kept, faults = grounded(diagnosis(), evidence)
    assert not kept.findings
    assert faults == ["the finding 'overlap' cites no evidence"]
    assert kept.dropped == tuple(faults)


def test_ungrounded_claims_are_sent_back_once_then_dropped(client: Any, records: ModuleType) -> None:
    good, bad = diagnosis(("overlap", 0.375)), diagnosis(("overlap", 0.9))
    chat, endpoint = client(lambda r: (bad if len(r["messages"]) == 2 else good).model_dump_json())
    assert ModelCritic(chat).diagnose(records.diagnosis_brief()) == good
    assert "'overlap' stands at 0.375, not at 0.9" in endpoint.requests[1]["messages"][-1]["content"]

    chat, endpoint = client(bad.model_dump_json())
    assert ModelCritic(chat).diagnose(records.diagnosis_brief()).findings == ()
    assert len(endpoint.requests) == 2


def test_a_summary_stands_only_beside_findings_that_hold(records: ModuleType) -> None:
    evidence = records.diagnosis_brief().evidence
    true, invented = diagnosis(("overlap", 0.375)), diagnosis(("invented", 9), failure="collision")
    assert grounded(true, evidence)[0].summary == "s"
    mixed = Diagnosis(summary="9 collisions!", findings=(*true.findings, *invented.findings))
    assert grounded(mixed, evidence)[0].summary == "The evidence bears out: overlap (overlap = 0.375)."
    for empty in (invented, Diagnosis(summary="9 collisions!")):
        assert grounded(empty, evidence)[0].summary == "The evidence bears out nothing of what was said."


def test_what_a_critic_says_is_short_and_printable(records: ModuleType) -> None:
    finding = diagnosis(("overlap", 0.375)).findings[0].model_copy(update={"advice": "a\x1b\n" * 500})
    said, _ = grounded(Diagnosis(summary="s\x1b\n" * 500, findings=(finding,)), records.diagnosis_brief().evidence)
    for text in (said.summary, said.findings[0].advice):
        assert text.isprintable()
        assert len(text) <= 400


def test_of_two_diagnoses_the_one_with_more_grounded_findings_stands(client: Any, records: ModuleType) -> None:
    first = Diagnosis(
        summary="first",
        findings=(
            *diagnosis(("overlap", 0.375)).findings,
            *diagnosis(("collisions", 40)).findings,
            *diagnosis(("invented", 1)).findings,
        ),
    )
    second = diagnosis(("invented", 2))
    chat, _ = client(lambda r: (first if len(r["messages"]) == 2 else second).model_dump_json())
    found = ModelCritic(chat).diagnose(records.diagnosis_brief()).findings
    assert [finding.evidence[0].key for finding in found] == ["overlap", "collisions"]


def test_of_two_diagnoses_that_hold_alike_the_mended_one_stands(client: Any, records: ModuleType) -> None:
    held, invented = diagnosis(("overlap", 0.375)), diagnosis(("invented", 1), failure="collision")
    first = held.model_copy(update={"findings": (*held.findings, *invented.findings)})
    second = diagnosis(("collisions", 40.0))
    chat, _ = client(lambda r: (first if len(r["messages"]) == 2 else second).model_dump_json())
    assert ModelCritic(chat).diagnose(records.diagnosis_brief()) == second


@pytest.mark.parametrize(
    ("summary", "unfounded"),
    [
        ("It scores 0.46, with 38% overlap.", None),
        ("It scores 0.4567 and fell by 0.2.", None),  # -0.204, rounded, and told without its sign
        ("2 of 3 agents overlap; s1r2c3 and s14r99c17-fix2 are alike.", None),
        ("Overlap is 37.5 %, collisions 40.", None),
        ("It scores 0.93.", "0.93"),
        ("Overlap is 45%.", "45%"),
        ("There were 140 collisions.", "140"),
        ("It scores 0.4567, far above 0.1.", "0.1"),
    ],
)
def test_numbers_of_a_summary_stand_in_the_evidence(summary: str, unfounded: str | None) -> None:
    evidence = {"overlap": 0.375, "score": 0.4567, "collisions": 40.0, "trend": -0.204}
    said, faults = grounded(diagnosis(("overlap", 0.375)).model_copy(update={"summary": summary}), evidence)
    if unfounded is None:
        assert (said.summary, said.dropped, faults) == (summary, (), [])
    else:
        assert faults == [f"the summary says {unfounded}, which stands nowhere in the evidence"]
        assert said.dropped == tuple(faults)
        assert said.summary == "The evidence bears out: overlap (overlap = 0.375)."
        assert said.findings, "the findings hold all the same"


def test_what_is_dropped_is_marked_and_grounding_twice_marks_it_once(records: ModuleType) -> None:
    evidence = records.diagnosis_brief().evidence
    once, _ = grounded(diagnosis(("overlap", 0.375), ("invented", 1)), evidence)
    assert once.dropped == ("overlap: there is no evidence under the key 'invented'",)
    assert grounded(once, evidence) == (once, [])


def test_no_model_fills_in_what_was_dropped(client: Any, records: ModuleType) -> None:
    lying = diagnosis(("overlap", 0.375)).model_copy(update={"dropped": ("obey",)})
    chat, endpoint = client(lying.model_dump_json())
    assert ModelCritic(chat).diagnose(records.diagnosis_brief()).dropped == ()
    assert "dropped" not in json.dumps(endpoint.requests[0].get("response_format", {}))


def test_the_offline_critic_is_grounded(records: ModuleType) -> None:
    """Whatever the numbers are, its rounded words are borne out by the evidence that it cites."""
    keys = ("score", "spread", "behaviour.overlap", "behaviour.crowded", "term.a.share", "trend.score")
    for number in range(60):
        evidence = {f"s1r1c1.{key}": round(0.017 * number * (i + 1) % 1, 4) for i, key in enumerate(keys)}
        evidence |= {"s1r1c1.term.b.share": 0.05, "s1r1c1.trend.shaped_return": 2.0, "s1r1c1.trend.score": -0.1037}
        brief = records.diagnosis_brief().model_copy(update={"evidence": evidence})
        said = OfflineCritic().diagnose(brief)
        assert grounded(said, evidence) == (said, [])


def test_a_critic_of_a_main_run_is_told_of_it_and_held_to_its_evidence(client: Any, records: ModuleType) -> None:
    """What the branches of the stage did can be cited like everything else, and only with its numbers."""
    evidence = {"main.score": 0.5625, "main.score.s2": 0.5, "s3r1c2.gain": -0.09375, "main.term.near.share": 0.84375}
    known = {"evidence": evidence, "history": ("stage 3 round 1: found overlap; nothing promoted",)}
    good = diagnosis(("s3r1c2.gain", -0.09375), ("main.term.near.share", 0.84375), failure="precision")
    bad = diagnosis(("main.score.s9", 0.5), failure="exploration")
    both = good.model_copy(update={"findings": (*good.findings, *bad.findings)})
    chat, endpoint = client(both.model_dump_json())
    said = ModelCritic(chat).diagnose(records.adapting_diagnosis_brief(**known))
    assert said.findings == good.findings
    assert said.dropped == ("exploration: there is no evidence under the key 'main.score.s9'",)
    system, user = (message["content"] for message in endpoint.requests[0]["messages"][:2])
    assert "## The main run" in system
    for told in ("s3r1c2.gain = -0.09375", known["history"][0], records.REWARD.strip()):
        assert told in user
