"""Several generators in one run: who gets which slots, what becomes of those who fail, and that a resume agrees."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from graph_fakes import Equipment, FakeExecutor, ScriptedGenerator, make_settings, proposal, weight_of

from marlsmith.agents.asking.question import AnswerError
from marlsmith.graph.proposing import authors
from marlsmith.graph.run import Paused, resume, start
from marlsmith.graph.run_directory import RunDirectory
from marlsmith.schemas import BudgetError, EndpointError, Interrupted, PausingError, Proposal, ProposalBrief


class Weighing(ScriptedGenerator):
    """Proposes what has about this effect, each signal a new one; its words cost `tokens`."""

    def __init__(self, name: str, weight: float, tokens: int = 0) -> None:
        super().__init__(name=name)
        self.weight, self.tokens = weight, tokens

    def propose(self, brief: ProposalBrief) -> list[Proposal]:
        self.briefs.append(brief)
        return [
            proposal(self.weight + 0.01 * brief.round + 0.001 * slot + 0.0001 * brief.attempt).model_copy(
                update={"tokens": self.tokens}
            )
            for slot in brief.slots
        ]


class Failing(ScriptedGenerator):
    def __init__(self, name: str, error: Exception) -> None:
        super().__init__(name=name)
        self.error = error

    def propose(self, brief: ProposalBrief) -> list[Proposal]:
        self.briefs.append(brief)
        raise self.error


def equipment(*generators: ScriptedGenerator, executor: FakeExecutor | None = None) -> Equipment:
    return Equipment(executor or FakeExecutor(noise=0.001), generators[0], others=generators[1:])


def run(path: Path, equipped: Equipment, **settings: object) -> list[dict]:
    return list(start(make_settings(**settings), equipped, path))


def named(events: list[dict], name: str) -> list[dict]:
    return [event for event in events if event["event"] == name]


def given(events: list[dict]) -> list[dict[str, int]]:
    return [{name: len(share["slots"]) for name, share in e["shares"].items()} for e in named(events, "allotted")]


def authored(events: list[dict]) -> list[tuple[str, str]]:
    return [(event["candidate"], event["author"]) for event in named(events, "proposal")]


def test_the_generator_whose_proposals_gain_gets_the_slots(tmp_path):
    good, poor = Weighing("good", 4.0), Weighing("poor", 0.1)
    events = run(tmp_path / "run", equipment(good, poor), rounds=6)
    counts = given(events)
    assert min(counts[0].values()) >= 1
    assert sum(c["good"] for c in counts) > 2 * sum(c["poor"] for c in counts)
    assert [id for id, _ in authored(events)] == [f"s1r{r}c{c}" for r in range(1, 7) for c in (1, 2, 3)]
    assert {brief.slots for brief in good.briefs}.isdisjoint({()})
    by_author = dict(authored(events))
    for event in named(events, "allotted"):
        for name, share in event["shares"].items():
            assert all(by_author[f"s1r{event['round']}c{slot}"] == name for slot in share["slots"])


def test_words_are_part_of_the_price(tmp_path):
    """Two that gain alike: the one that spends a training's worth of tokens on each gets fewer slots."""
    events = run(tmp_path / "run", equipment(Weighing("wordy", 2.0, 200_000), Weighing("terse", 2.0)), rounds=6)
    counts = given(events)
    assert sum(c["terse"] for c in counts) > 1.5 * sum(c["wordy"] for c in counts)


def test_one_generator_needs_no_bandit(tmp_path):
    events = run(tmp_path / "run", Equipment(), rounds=1)
    assert named(events, "allotted") == []
    assert [id for id, _ in authored(events)] == ["s1r1c1", "s1r1c2", "s1r1c3"]


def test_generators_are_asked_at_the_same_time(tmp_path):
    meeting = threading.Barrier(2, timeout=5)

    class Meeting(Weighing):
        def propose(self, brief: ProposalBrief) -> list[Proposal]:
            meeting.wait()
            return super().propose(brief)

    events = run(tmp_path / "run", equipment(Meeting("a", 1.0), Meeting("b", 2.0)), rounds=1)
    assert {author for _, author in authored(events)} == {"a", "b"}


@pytest.mark.parametrize("error", [EndpointError("nobody answers"), BudgetError("spent")])
def test_the_slots_of_one_that_cannot_be_asked_go_to_the_others(tmp_path, error):
    dead, living = Failing("dead", error), Weighing("living", 2.0)
    events = run(tmp_path / "run", equipment(dead, living), rounds=3)
    assert authored(events) == [(f"s1r{r}c{c}", "living") for r in (1, 2, 3) for c in (1, 2, 3)]
    assert any("dead cannot be asked, others take its slots" in e["message"] for e in named(events, "warning"))
    asked = [brief.slots for brief in living.briefs if brief.round == 1]
    assert len(asked) == 2
    assert set(asked[0]).isdisjoint(asked[1]), "who fills further slots is asked for other things"
    assert sum(counts["dead"] for counts in given(events)[1:]) <= 2, "what brings nothing is asked less"
    assert events[-1]["promoted"] is True


def test_a_stop_hands_no_slots_over(tmp_path):
    stopped, other = Failing("person", Interrupted("the run stops")), Weighing("other", 2.0)
    with pytest.raises(Paused):
        run(tmp_path / "run", equipment(stopped, other), rounds=1)
    assert len(other.briefs) == 1
    assert list((tmp_path / "run/candidates").iterdir()) == []


def test_when_none_can_be_asked_the_run_pauses_and_resumes(tmp_path):
    dead = [Failing(name, EndpointError(f"{name} is down")) for name in "ab"]
    with pytest.raises(EndpointError, match="is down"):
        run(tmp_path / "run", equipment(*dead), rounds=1)
    mended = equipment(Weighing("a", 1.0), Weighing("b", 2.0))
    events = list(resume(tmp_path / "run", mended))
    assert events[-1]["promoted"] is True
    kept = list(RunDirectory.open(tmp_path / "run").events())
    assert len(named(kept, "allotted")) == 1, "the resume has chosen the same"


def test_unusable_answers_of_one_leave_its_slots_empty_and_count_as_tries(tmp_path):
    useless, good = Failing("useless", AnswerError("prose")), Weighing("good", 2.0)
    events = run(tmp_path / "run", equipment(useless, good), rounds=4)
    assert {author for _, author in authored(events)} == {"good"}
    assert sum(counts["useless"] for counts in given(events)) < 6
    assert named(events, "allotted")[-1]["shares"]["useless"]["plays"] == sum(c["useless"] for c in given(events)[:-1])


@pytest.mark.parametrize("count", [1, 2])
def test_a_round_that_opens_with_unusable_answers_only_pauses_the_run(tmp_path, count):
    useless = [Failing(f"m{number}", AnswerError("always prose")) for number in range(count)]
    with pytest.raises(
        PausingError, match=r"round 1 has no proposal to try: m\d gave no usable proposal: always prose"
    ):
        run(tmp_path / "run", equipment(*useless), rounds=1)
    events = list(resume(tmp_path / "run", equipment(*(Weighing(f"m{number}", 2.0) for number in range(count)))))
    assert events[-1]["promoted"] is True


def test_repairs_go_back_to_their_author(tmp_path):
    a, b = Weighing("a", 1.0), Weighing("b", 9.0)
    executor = FakeExecutor(unsound=lambda s: weight_of(s) > 5)
    events = run(tmp_path / "run", equipment(a, b, executor=executor), rounds=1)
    (asked,) = [brief for brief in b.briefs if brief.attempt == 1]
    assert [brief for brief in a.briefs if brief.attempt == 1] == []
    assert {rejection.candidate.author for rejection in asked.rejected} == {"b"}
    assert asked.count == len(asked.rejected) == len(asked.slots)
    assert all(author == "b" for id, author in authored(events) if "fix" in id)


def test_a_dead_authors_repairs_are_taken_over(tmp_path):
    class Dying(Weighing):
        def propose(self, brief: ProposalBrief) -> list[Proposal]:
            if brief.attempt:
                raise EndpointError("gone")
            return super().propose(brief)

    executor = FakeExecutor(unsound=lambda s: weight_of(s) > 5)
    events = run(tmp_path / "run", equipment(Weighing("a", 1.0), Dying("b", 9.0), executor=executor), rounds=1)
    fixes = [author for id, author in authored(events) if "fix" in id]
    assert fixes
    assert set(fixes) == {"a"}
    assert all(e["accepted"] for e in named(events, "check") if "fix" in e["candidate"])


def test_a_resume_chooses_as_an_undisturbed_run_does(tmp_path):
    def cast(until: int) -> Equipment:
        class Stopping(Weighing):
            def propose(self, brief: ProposalBrief) -> list[Proposal]:
                if brief.round > until:
                    raise KeyboardInterrupt
                return super().propose(brief)

        return equipment(Stopping("a", 1.0, 30_000), Stopping("b", 2.0))

    whole = run(tmp_path / "whole", cast(9), rounds=4)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run", cast(2), rounds=4)
    list(resume(tmp_path / "run", cast(9)))
    kept = list(RunDirectory.open(tmp_path / "run").events())
    assert [e["shares"] for e in named(kept, "allotted")] == [e["shares"] for e in named(whole, "allotted")]
    assert authored(kept) == authored(whole)


def test_two_of_the_same_name_are_told_apart():
    twins = [ScriptedGenerator(name=name) for name in ("m", "n", "m", "m")]
    assert list(authors(twins)) == ["m", "n", "m (2)", "m (3)"]
