"""What a model may try before it answers: bounded, told, and never a way to break the run."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import pytest

from marlsmith.agents.asking.accounting.accounts import Accounts
from marlsmith.agents.asking.client import Client
from marlsmith.agents.asking.question import Question, Reply, ToolCall
from marlsmith.agents.generating.tools import MOST_CALLS, SOUND, Tryout
from marlsmith.agents.generator import ModelGenerator
from marlsmith.schemas import Reach, RewardConfig, Signal, ToolUse, canonical

CONFIG = {"reward": {"terms": [{"kind": "reach", "weight": 2}]}}


class Bench:
    def __init__(self) -> None:
        self.tried: list[tuple[str, Signal]] = []
        self.uses: list[ToolUse] = []

    def check(self, signal: Signal) -> list[str]:
        self.tried.append(("check", signal))
        return ["it pays for standing still"] if weight_of(signal) < 3 else []

    def probe(self, signal: Signal) -> str:
        self.tried.append(("probe", signal))
        return "reach: mean 0.25"

    def tell(self, use: ToolUse) -> None:
        self.uses.append(use)


def weight_of(signal: Signal) -> float:
    assert isinstance(signal.reward, RewardConfig)
    return signal.reward.terms[0].weight


def reach(weight: float) -> dict[str, Any]:
    return {"config": {"reward": {"terms": [{"kind": "reach", "weight": weight}]}}}


class Wire:
    """A model that follows a script: a tool's name and arguments, or its answer. Anybody may ask it anything else."""

    name = asked = "tinkerer"

    def __init__(self, *script: tuple[str, str] | dict[str, Any]) -> None:
        self.script = list(script)
        self.questions: list[Question] = []

    def send(self, question: Question) -> Reply:
        self.questions.append(question)
        step = self.script.pop(0)
        if isinstance(step, dict):
            return Reply(json.dumps(step))
        number = len(self.questions)
        return Reply("", finish_reason="tool_calls", tool_calls=(ToolCall(f"call{number}", *step),))


def results(question: Question) -> list[str]:
    return [message["content"] for message in question.messages if message["role"] == "tool"]


def test_a_model_checks_mends_probes_and_answers(records: ModuleType) -> None:
    wire = Wire(
        ("check_candidate", json.dumps(reach(2))),
        ("check_candidate", json.dumps(reach(3))),
        ("probe_terms", json.dumps(reach(3))),
        reach(3),
    )
    bench = Bench()
    (made,) = ModelGenerator(Client(wire, Accounts()), workbench=bench).propose(records.proposal_brief(count=1))
    assert weight_of(made.signal) == 3
    assert results(wire.questions[-1]) == ["Refused:\n- it pays for standing still", SOUND, "reach: mean 0.25"]
    assert [name for name, _ in bench.tried] == ["check", "check", "probe"]
    assert [(use.tool, use.number, use.place) for use in bench.uses] == [
        ("check_candidate", 1, "s1r2a0/1"),
        ("check_candidate", 2, "s1r2a0/1"),
        ("probe_terms", 3, "s1r2a0/1"),
    ]
    assert bench.uses[0].result == "Refused: - it pays for standing still"


def test_calls_are_bounded(records: ModuleType) -> None:
    wire = Wire(*[("check_candidate", json.dumps(reach(5)))] * MOST_CALLS, reach(5))
    bench = Bench()
    ModelGenerator(Client(wire, Accounts()), workbench=bench).propose(records.proposal_brief(count=1))
    assert len(bench.uses) == MOST_CALLS
    assert wire.questions[-1].tools == ()


def test_without_a_workbench_no_tool_is_offered(records: ModuleType) -> None:
    wire = Wire(reach(3))
    ModelGenerator(Client(wire, Accounts())).propose(records.proposal_brief(count=1))
    assert wire.questions[0].tools == ()
    assert "check_candidate" not in wire.questions[0].messages[0]["content"]


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("check_candidate", "", "they are no JSON"),
        ("check_candidate", "[" * 100_000, "they are no JSON"),
        ("check_candidate", "[]", "no JSON object"),
        ("probe_terms", "{}", "either code or config"),
        ("check_candidate", json.dumps(reach(1000)), "less than or equal to 100"),
        ("check_candidate", json.dumps({"code": "x = 1"}), "defines none of agent_reward"),
        ("check_candidate", json.dumps({"code": 7}), "code: Input should be a valid string"),
        ("delete_everything\x1b[31m", "{}", "no such tool: call check_candidate or probe_terms"),
    ],
)
def test_malformed_calls_come_back_as_words(records: ModuleType, name: str, arguments: str, says: str) -> None:
    bench = Bench()
    assert says in Tryout(bench, records.proposal_brief(), "author", "place").call(name, arguments)
    assert bench.tried == []
    assert len(bench.uses) == 1
    assert bench.uses[0].tool.isprintable()


def test_a_signal_that_was_tried_is_told_so_before_it_is_proposed(records: ModuleType) -> None:
    tried = canonical(Signal(reward=RewardConfig(terms=(Reach(weight=5),))))
    tool = Tryout(Bench(), records.proposal_brief(tried=(tried,)), "author", "place")
    assert "tried already" in tool.call("check_candidate", json.dumps(reach(5)))
