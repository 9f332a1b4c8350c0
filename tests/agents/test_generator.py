"""A model as generator: one question a slot, all at once, in the order of the slots."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from marlsmith.agents.asking.accounting import book
from marlsmith.agents.asking.accounting.accounts import Accounts
from marlsmith.agents.asking.address import parse_model
from marlsmith.agents.asking.client import Client
from marlsmith.agents.asking.question import Question, Reply, Usage
from marlsmith.agents.asking.wire.endpoint import Endpoint
from marlsmith.agents.generating.plan import plan
from marlsmith.agents.generator import ModelGenerator, told
from marlsmith.agents.roles import Unfinished
from marlsmith.prompts import Prompts
from marlsmith.schemas import AnswerError, Code, EndpointError, Interrupted, Proposal, RewardConfig, canonical

Says = Callable[[int], str]


@pytest.fixture
def client(chat_endpoint: Callable[..., Any], tmp_path: Path) -> Callable[..., tuple[Client, Any]]:
    def make(content: Any, model: str = "good") -> tuple[Client, Any]:
        endpoint = chat_endpoint(content)
        accounts = Accounts(tmp_path / "llm.jsonl")
        return Client(Endpoint(parse_model(endpoint.spec(model)), accounts, backoff=0.0), accounts), endpoint

    return make


def reach(weight: float, **fields: Any) -> dict[str, Any]:
    return {"config": {"reward": {"terms": [{"kind": "reach", "weight": weight}]}}, **fields}


def slot_of(request: dict[str, Any]) -> int:
    """As the prompt says it, at its very end."""
    (found,) = re.findall(r"One proposal: number (\d+) of stage", request["messages"][1]["content"])
    return int(found)


def weights(made: list[Proposal]) -> list[float]:
    rewards = [proposal.signal.reward for proposal in made]
    return [reward.terms[0].weight for reward in rewards if isinstance(reward, RewardConfig)]


def test_code_and_config_become_proposals_of_the_kind_that_was_asked_for(client: Any, records: ModuleType) -> None:
    drafts = {1: {"rationale": "a\nb", "code": records.BOTH}, 2: reach(2, rationale="c"), 3: reach(3)}
    chat, endpoint = client(lambda request: json.dumps(drafts[slot_of(request)]))
    code, config, new = ModelGenerator(chat).propose(records.full_brief())
    assert len(endpoint.requests) == 3
    assert code.signal.reward == code.signal.observation == Code(source=records.BOTH)
    assert (code.kind, code.parents, code.rationale) == ("mutate", ("s1r1c1",), "a b")
    assert config.kind in ("crossover", "tune")
    assert config.parents[0] == "s1r1c1"
    assert (new.kind, new.parents, new.rationale) == ("new", (), "(none given)")
    assert code.tokens > 0


def test_slow_answers_come_side_by_side_and_stay_in_the_order_of_their_slots(client: Any, records: ModuleType) -> None:
    count = 4
    together = threading.Barrier(count)  # one after the other they would wait for each other in vain

    def content(request: dict[str, Any]) -> str:
        slot = slot_of(request)
        together.wait(timeout=20)
        time.sleep(0.1 * (count - slot))  # the last slot answers first
        return json.dumps(reach(slot))

    chat, endpoint = client(content)
    made = ModelGenerator(chat, parallel=count).propose(records.proposal_brief(count=count, round=9))
    assert weights(made) == [1, 2, 3, 4]
    assert len(endpoint.requests) == count


def test_only_so_many_questions_at_a_time(records: ModuleType) -> None:
    pair = threading.Barrier(2)

    def says(slot: int) -> str:
        pair.wait(timeout=20)
        return json.dumps(reach(slot))

    wire = Wire(says)
    made = ModelGenerator(wire.client(), parallel=2).propose(records.proposal_brief(count=6))
    assert weights(made) == [1, 2, 3, 4, 5, 6]
    assert wire.most_at_once == 2


def test_slots_have_places_of_their_own(records: ModuleType) -> None:
    wire = Wire(lambda slot: json.dumps(reach(slot)))
    made = ModelGenerator(wire.client()).propose(records.proposal_brief(slots=(2, 5), count=2, attempt=1))
    assert sorted(question.place for question in wire.questions) == ["s1r2a1/2", "s1r2a1/5"]
    assert [proposal.slot for proposal in made] == weights(made) == [2, 5]


def test_one_bad_slot_costs_no_other(client: Any, records: ModuleType) -> None:
    chat, endpoint = client(lambda request: json.dumps(reach(1000 if slot_of(request) == 2 else slot_of(request))))
    made = ModelGenerator(chat).propose(records.proposal_brief())
    assert [proposal.slot for proposal in made] == weights(made) == [1, 3]
    assert len(endpoint.requests) == 4  # the bad one had its repair turn
    (repair,) = [request for request in endpoint.requests if len(request["messages"]) > 2]
    assert "config.reward" in repair["messages"][-1]["content"]


def test_where_no_slot_gives_anything_the_reasons_are_told(client: Any, records: ModuleType) -> None:
    chat, _ = client(json.dumps({"config": {"observation": {"scope": "team", "features": [{"kind": "speed"}]}}}))
    with pytest.raises(AnswerError, match=r"^[^:]*scope 'team' is closed[^;]*$"):
        ModelGenerator(chat).propose(records.proposal_brief())


def test_the_same_reason_in_several_slots_is_told_once(records: ModuleType) -> None:
    wire = Wire(lambda slot: "prose" if slot == 2 else json.dumps(reach(1000)))
    with pytest.raises(AnswerError) as told:
        ModelGenerator(wire.client()).propose(records.proposal_brief(count=4))
    sentence = str(told.value)
    assert sentence.startswith("in slots 1, 3, 4 unusable after a repair turn: ")
    assert "; in slot 2 unusable after a repair turn: it holds no JSON" in sentence
    assert "as generator" not in sentence


def test_a_faulty_proposal_is_mended_in_its_repair_turn(client: Any, records: ModuleType) -> None:
    chat, endpoint = client(lambda request: json.dumps(reach(1000 if len(request["messages"]) == 2 else 5)))
    assert weights(ModelGenerator(chat).propose(records.proposal_brief(count=1))) == [5]
    assert len(endpoint.requests) == 2


def test_a_signal_that_was_tried_is_sent_back_once(records: ModuleType) -> None:
    wire = Wire(lambda slot: json.dumps(reach(1)))
    (made,) = ModelGenerator(wire.client()).propose(records.proposal_brief(count=1))
    wire = Wire(lambda slot: json.dumps(reach(1 if len(wire.questions) == 1 else 2)))
    brief = records.proposal_brief(count=1, tried=(canonical(made.signal),))
    assert weights(ModelGenerator(wire.client()).propose(brief)) == [2]
    assert "tried already in this run" in wire.questions[1].messages[-1]["content"]


def dying_at_once() -> Wire:
    """Its first slot meets a dead endpoint while the second is with the model, whose first answer is of no use."""
    begun = threading.Barrier(2)
    answers = iter(["prose", json.dumps(reach(2))])

    def says(slot: int) -> str:
        if slot == 1:
            begun.wait(timeout=20)
            raise EndpointError("it is dead")
        if len(wire.questions) == 2:
            begun.wait(timeout=20)
            time.sleep(0.2)
        return next(answers)

    wire = Wire(says)
    return wire


def test_what_was_made_before_the_endpoint_died_is_handed_over_and_what_waits_is_not_asked(records: ModuleType) -> None:
    """A slot that has begun goes on, with its repair turn too: it is paid for."""
    wire = dying_at_once()
    with pytest.raises(Unfinished, match="it is dead") as unfinished:
        ModelGenerator(wire.client(), parallel=2).propose(records.proposal_brief(count=8))
    assert isinstance(unfinished.value.cause, EndpointError)
    assert [proposal.slot for proposal in unfinished.value.made] == [2]
    assert [question.place for question in wire.questions[2:]] == ["s1r2a0/2"]


def test_where_nothing_was_made_the_dead_endpoint_is_told_as_it_is(records: ModuleType) -> None:
    def dead(slot: int) -> str:
        raise EndpointError("it is dead")

    with pytest.raises(EndpointError, match="it is dead"):
        ModelGenerator(Wire(dead).client()).propose(records.proposal_brief())


def test_a_stop_is_no_dead_endpoint(records: ModuleType) -> None:
    """Else its slots would be given to others while the run is to halt."""

    def says(slot: int) -> str:
        if slot == 2:
            raise Interrupted("the run stops")
        if slot == 3:
            raise EndpointError("it is dead")
        return json.dumps(reach(slot))

    with pytest.raises(Interrupted):
        ModelGenerator(Wire(says).client()).propose(records.proposal_brief())


def test_a_replay_makes_of_a_dead_endpoint_what_the_run_did(records: ModuleType, tmp_path: Path) -> None:
    """However its threads go: what was never asked is on record as such."""
    brief, file = records.proposal_brief(count=8), tmp_path / "run" / book.FILE
    client = dying_at_once().client(Accounts(file))
    with pytest.raises(Unfinished) as live:
        ModelGenerator(client, parallel=2).propose(brief)
    for parallel in (1, 8):
        wire = Wire(lambda slot: pytest.fail("a replay asks nobody"))
        client = wire.client(Accounts(tmp_path / str(parallel) / book.FILE, replay=file.parent))
        with pytest.raises(Unfinished, match="it is dead") as again:
            ModelGenerator(client, parallel=parallel).propose(brief)
        assert again.value.made == live.value.made


def test_a_resume_asks_for_what_is_missing_only(records: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / book.FILE
    client = dying_at_once().client(Accounts(file))
    with pytest.raises(Unfinished):
        ModelGenerator(client, parallel=2).propose(records.proposal_brief(count=4))
    wire = Wire(lambda slot: json.dumps(reach(slot)))
    made = ModelGenerator(wire.client(Accounts(file))).propose(records.proposal_brief(count=4))
    assert weights(made) == [1, 2, 3, 4]
    assert sorted(question.place for question in wire.questions) == ["s1r2a0/1", "s1r2a0/3", "s1r2a0/4"]


def test_a_lone_surrogate_is_no_obstacle(client: Any, records: ModuleType) -> None:
    """Neither as an escape in the answer's JSON, nor in the repair turn that quotes it."""
    chat, endpoint = client(
        lambda r: json.dumps(reach(1000 if len(r["messages"]) == 2 else 1, rationale="so \ud800 so"))
    )
    (made,) = ModelGenerator(chat).propose(records.proposal_brief(count=1))
    assert made.rationale == "so ? so"
    assert len(endpoint.requests) == 2
    chat, _ = client(json.dumps({"code": f"{records.REWARD}# \ud800"}))
    (made,) = ModelGenerator(chat).propose(records.proposal_brief(count=1))
    assert isinstance(made.signal.reward, Code)
    assert made.signal.reward.source.encode().endswith(b"# ?")


def test_a_python_block_is_an_answer_at_plain_text(client: Any, records: ModuleType) -> None:
    chat, _ = client(f"An idea.\n```python\n{records.OBSERVATION}```\n", "text-only")
    (made,) = ModelGenerator(chat).propose(records.proposal_brief(count=1))
    assert made.rationale == "An idea."
    assert made.signal.reward is None
    assert isinstance(made.signal.observation, Code)


def test_slots_of_a_round_share_all_but_the_end_of_their_prompt(records: ModuleType) -> None:
    """What comes first and is equal, an endpoint keeps at hand."""
    brief, prompts = records.full_brief(), Prompts()
    sent = [told(brief, commission, prompts) for commission in plan(brief)]
    assert len({system for system, _ in sent}) == 1
    ends = {user.split("## What is wanted now")[1] for _, user in sent}
    assert len({user.split("## What is wanted now")[0] for _, user in sent}) == 1
    assert len(ends) == len(sent)
    assert max(map(len, ends)) < 0.3 * min(len(user) for _, user in sent)


class Wire:
    """Answers by slot, and counts how many questions are with it at once."""

    name = asked = "wire"

    def __init__(self, says: Says) -> None:
        self.says = says
        self.questions: list[Question] = []
        self.most_at_once = self._now = 0
        self._lock = threading.Lock()

    def client(self, accounts: Accounts | None = None) -> Client:
        self._accounts = accounts or Accounts()
        return Client(self, self._accounts)

    def send(self, question: Question) -> Reply:
        with self._lock:
            self.questions.append(question)
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        try:
            with self._accounts.attempt(question, self.asked, None, "text") as attempt:
                attempt.reply = Reply(self.says(int(question.place.rpartition("/")[2])), usage=Usage(10, 5))
            return attempt.reply
        finally:
            with self._lock:
                self._now -= 1


def test_a_generator_of_a_main_run_is_told_of_it_alike_in_all_slots(client: Any, records: ModuleType) -> None:
    chat, endpoint = client(lambda request: json.dumps(reach(slot_of(request))))
    made = ModelGenerator(chat).propose(records.adapting_brief())
    assert weights(made) == [1, 2, 3]
    systems = {request["messages"][0]["content"] for request in endpoint.requests}
    assert len(systems) == 1
    assert "## The main run" in systems.pop()
    assert all("of this stage: not promoted" in request["messages"][1]["content"] for request in endpoint.requests)
