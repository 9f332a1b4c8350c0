"""Several generators in one run: who gets which slots, what becomes of those who fail, and that a resume agrees."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from graph_fakes import SPENT, Equipment, FakeExecutor, ScriptedGenerator, make_settings, proposal, weight_of

from marlsmith.agents.asking.accounting import book
from marlsmith.agents.asking.accounting.accounts import Accounts
from marlsmith.agents.asking.accounting.ledger import Spent
from marlsmith.agents.asking.client import Client
from marlsmith.agents.asking.question import Question, Reply, Usage
from marlsmith.agents.generator import ModelGenerator
from marlsmith.agents.roles import Unfinished
from marlsmith.graph.proposing.round import authors
from marlsmith.graph.run import Paused, resume, start
from marlsmith.graph.run_directory import RunDirectory
from marlsmith.schemas import (
    AnswerError,
    BudgetError,
    EndpointError,
    Interrupted,
    PausingError,
    Proposal,
    ProposalBrief,
)


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


def test_words_that_brought_nothing_are_part_of_the_price_too(tmp_path):
    """What another one said who took the slot over is none of it."""

    class Moody(Weighing):
        def propose(self, brief: ProposalBrief) -> list[Proposal]:
            if brief.round == 2:
                raise EndpointError("down")
            return super().propose(brief)

    moody, steady = Moody("moody", 4.0), Weighing("steady", 2.0, tokens=50_000)
    equipped = equipment(moody, steady)
    equipped.spent_at = lambda place: Spent(1, 0, Usage(150_000 if place.startswith("s1r2a0/") else 50_000))
    allotted = named(run(tmp_path / "run", equipped, rounds=3), "allotted")
    tried, failed = (len(a["shares"]["moody"]["slots"]) for a in allotted[:2])
    assert tried > 0
    assert failed > 0
    before, after = (a["shares"]["moody"] for a in allotted[1:])
    assert after["plays"] == tried + failed
    assert after["rate"] == pytest.approx(before["rate"] * tried / (tried + failed * (1 + 2)))


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


def test_the_slots_of_one_that_cannot_be_asked_go_to_the_others(tmp_path):
    dead, living = Failing("dead", EndpointError("nobody answers")), Weighing("living", 2.0)
    events = run(tmp_path / "run", equipment(dead, living), rounds=3)
    assert authored(events) == [(f"s1r{r}c{c}", "living") for r in (1, 2, 3) for c in (1, 2, 3)]
    notes = [e["message"] for e in named(events, "warning") if e["round"] == 1]
    (slots,) = {len(brief.slots) for brief in dead.briefs if brief.round == 1}
    takes = f"living takes {slots} slot{'s' if slots > 1 else ''} over"
    assert notes == ["dead cannot be asked: nobody answers", takes]
    asked = [brief.slots for brief in living.briefs if brief.round == 1]
    assert len(asked) == 2
    assert set(asked[0]).isdisjoint(asked[1]), "who fills further slots is asked for other things"
    assert sum(counts["dead"] for counts in given(events)[1:]) <= 2, "what brings nothing is asked less"
    assert events[-1]["promoted"] is True


def test_slots_that_nobody_filled_are_said_to_stay_empty(tmp_path):
    class Tiring(Weighing):
        def propose(self, brief: ProposalBrief) -> list[Proposal]:
            if len(self.briefs) > 0:
                raise AnswerError("prose")
            return super().propose(brief)

    dead, living = Failing("dead", EndpointError("nobody answers")), Tiring("living", 2.0)
    events = run(tmp_path / "run", equipment(dead, living), rounds=1)
    empty = len(dead.briefs[0].slots)
    assert len(authored(events)) == 3 - empty
    last = [e["message"] for e in named(events, "warning")][-1]
    assert last == f"round 1 has no proposal for {empty} of its 3 slots"


@pytest.mark.parametrize("made", [0, 1])
def test_a_budget_that_is_used_up_pauses_the_run_whoever_else_could_be_asked(tmp_path, made):
    """It is everybody's: no round is to shrink, or to go to others, for want of it."""
    spending, other = Naming("spending", 2.0), Weighing("other", 3.0)
    spending.error = BudgetError("spent")
    broke = spending if made else Failing("spending", BudgetError("spent"))
    with pytest.raises(BudgetError, match="spent"):
        run(tmp_path / "run", equipment(broke, other), rounds=1, candidates=5)
    assert len(other.briefs) == 1
    assert list((tmp_path / "run/candidates").iterdir()) == []
    events = list(resume(tmp_path / "run", equipment(Weighing("spending", 2.0), Weighing("other", 3.0))))
    assert [id for id, _ in authored(events)] == [f"s1r1c{c}" for c in range(1, 6)]


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
        PausingError,
        match=r"round 1 has no proposal to try: m\d gave no usable proposal for \d slots?: always prose; "
        "a resume asks once more, a new run may ask another model",
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


def test_a_repair_that_was_taken_over_is_credited_to_whoever_opened_the_slot(tmp_path):
    class Dying(Weighing):
        def propose(self, brief: ProposalBrief) -> list[Proposal]:
            if brief.attempt:
                raise EndpointError("gone")
            return super().propose(brief)

    executor = FakeExecutor(noise=0.001, unsound=lambda s: weight_of(s) > 5)
    events = run(tmp_path / "run", equipment(Weighing("a", 1.0), Dying("b", 9.0), executor=executor), rounds=2)
    first, second = named(events, "allotted")
    opened = len(first["shares"]["b"]["slots"])
    assert [author for id, author in authored(events) if id.startswith("s1r1") and "fix" in id] == ["a"] * opened
    assert second["shares"]["b"]["plays"] == opened
    assert second["shares"]["b"]["rate"] > 0
    assert second["shares"]["a"]["plays"] == 3 - opened


class Naming(Weighing):
    """As a model that answers for each slot and says for which: nothing usable for the first of them."""

    error: PausingError | None = None

    def propose(self, brief: ProposalBrief) -> list[Proposal]:
        proposals = zip(brief.slots, super().propose(brief), strict=True)
        made = [proposal.model_copy(update={"slot": slot}) for slot, proposal in proposals if slot != brief.slots[0]]
        if self.error is not None:
            raise Unfinished(made, self.error)
        return made


def weights(path: Path, events: list[dict]) -> dict[str, float]:
    """By candidate. `Weighing` adds a thousandth of the slot."""
    directory = RunDirectory.open(path)
    return {id: weight_of(directory.candidate(id).signal) for id, _ in authored(events)}


def test_a_candidate_is_named_for_the_slot_that_was_asked(tmp_path):
    events = run(tmp_path / "run", equipment(Naming("model", 2.0)), rounds=1)
    assert weights(tmp_path / "run", events) == {"s1r1c2": 2.012, "s1r1c3": 2.013}


class Voice:
    """A model that babbles in slot 1, and else proposes the slot's number as weight."""

    name = asked = "voice"

    def __init__(self, accounts: Accounts) -> None:
        self.accounts = accounts

    def send(self, question: Question) -> Reply:
        slot = int(question.place.rpartition("/")[2])
        config = {"reward": {"terms": [{"kind": "approach", "weight": slot}]}}
        with self.accounts.attempt(question, self.asked, None, "text") as attempt:
            attempt.reply = reply = Reply("well ..." if slot == 1 else json.dumps({"config": config}))
        return reply


def test_the_record_has_a_candidates_question_at_the_place_of_its_number(tmp_path):
    accounts = Accounts(tmp_path / book.FILE)
    voice = ModelGenerator(Client(Voice(accounts), accounts))
    events = run(tmp_path / "run", Equipment(generator=voice), rounds=1)
    assert weights(tmp_path / "run", events) == {"s1r1c2": 2, "s1r1c3": 3}
    for line in filter(book.is_request, book.read(tmp_path / book.FILE)):
        assert f"number {line['place'][-1]} of stage 1" in line["messages"][1]["content"]


def test_what_was_made_before_an_endpoint_died_is_kept_and_others_fill_the_empty_slots_only(tmp_path):
    dying, other = Naming("dying", 2.0), Weighing("other", 3.0)
    dying.error = EndpointError("gone")
    events = run(tmp_path / "run", equipment(dying, other), rounds=1, candidates=5)
    empty, *own = dying.briefs[0].slots
    assert own
    assert dict(authored(events)) == {f"s1r1c{c}": "dying" if c in own else "other" for c in range(1, 6)}
    assert other.briefs[-1].slots == (empty,)
    notes = [e["message"] for e in named(events, "warning")]
    assert notes == ["dying cannot be asked: gone", "other takes 1 slot over"]


def test_where_the_only_generator_dies_midway_the_run_pauses_and_the_resume_has_all_its_slots(tmp_path):
    dying = Naming("model", 2.0)
    dying.error = BudgetError("spent")
    with pytest.raises(BudgetError, match="spent"):
        run(tmp_path / "run", equipment(dying), rounds=1)
    assert list((tmp_path / "run/candidates").iterdir()) == []
    events = list(resume(tmp_path / "run", equipment(Weighing("model", 2.0))))
    assert [id for id, _ in authored(events)] == ["s1r1c1", "s1r1c2", "s1r1c3"]


def test_repairs_are_named_for_what_they_repair_whatever_their_order(tmp_path):
    executor = FakeExecutor(unsound=lambda s: weight_of(s) > 5)
    swapped = [proposal(2.0, "s1r1c3"), proposal(3.0, "s1r1c2")]
    script = {(1, 0): [proposal(1.0), proposal(9.0), proposal(8.0)], (1, 1): swapped}
    events = run(tmp_path / "run", Equipment(executor, ScriptedGenerator(script)), rounds=1)
    assert [id for id, _ in authored(events)][3:] == ["s1r1c2-fix1", "s1r1c3-fix1"]
    assert weights(tmp_path / "run", events)["s1r1c2-fix1"] == 3.0


def test_what_a_proposal_took_stands_in_the_trace_beside_what_the_run_took(tmp_path):
    events = run(tmp_path / "run", equipment(Weighing("model", 2.0, tokens=1234)), rounds=1)
    kept = named(list(RunDirectory.open(tmp_path / "run").events()), "proposal")
    assert kept == named(events, "proposal")
    assert [(event["own_tokens"], event["own_money"]) for event in kept] == [(1234, None)] * 3
    assert {(event["tokens"], event["money"]) for event in kept} == {(SPENT.usage.tokens, SPENT.money)}


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
