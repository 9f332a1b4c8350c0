"""The client against a scripted endpoint: every unusable answer mends itself, or is told in one sentence."""

from __future__ import annotations

import json
import sys
from subprocess import run
from typing import Any

import pytest

from marlsmith.agents.asking.question import TextForm, Tool
from marlsmith.schemas import AnswerError, EndpointError, Review

GOOD = '{"approve": true, "reasons": ["fits"]}'
REVIEW = Review(approve=True, reasons=("fits",))
LOOK = Tool("look", "Looks at a number.", {"type": "object", "properties": {"number": {"type": "integer"}}})


class Toolbox:
    """Keeps what it was called with."""

    def __init__(self, most: int = 3) -> None:
        self.tools = (LOOK,)
        self.most = most
        self.calls: list[tuple[str, str]] = []

    def call(self, name: str, arguments: str) -> str:
        self.calls.append((name, arguments))
        return f"result {len(self.calls)}"


def resumed(chat: Any) -> Any:
    """As a resume makes it: from the record."""
    return type(chat)(chat.endpoint.settings, chat.log)


def roles(request: dict[str, Any]) -> list[str]:
    return [message["role"] for message in request["messages"]]


# ---------------------------------------------------------------- repair


@pytest.mark.parametrize(("model", "fault"), [("bad-once", "perhaps"), ("empty-once", "it is empty")])
def test_the_repair_turn_quotes_the_fault(client: Any, model: str, fault: str) -> None:
    chat, endpoint = client(model)
    assert chat.review() == REVIEW
    _, repair = endpoint.requests
    assert [message["role"] for message in repair["messages"]] == ["system", "user", "assistant", "user"]
    assert fault in repair["messages"][-1]["content"]


def test_one_repair_turn_and_no_more(client: Any) -> None:
    chat, endpoint = client("babble")
    with pytest.raises(AnswerError, match="babble as validator: unusable after a repair turn: it holds no JSON"):
        chat.review()
    assert len(endpoint.requests) == 2


def test_complaints_are_sent_back_once_and_then_left_to_the_caller(client: Any) -> None:
    chat, endpoint = client("good")
    assert chat.review(complaints=lambda review: ["the reason is too short"]) == REVIEW
    assert len(endpoint.requests) == 2
    assert "the reason is too short" in endpoint.requests[1]["messages"][-1]["content"]


def test_the_answer_with_fewer_complaints_stands(client: Any) -> None:
    refusal = '{"approve": false, "reasons": ["x", "y"]}'
    chat, _ = client("good", lambda request: GOOD if len(request["messages"]) == 2 else refusal)
    assert chat.review(complaints=lambda review: list(review.reasons)) == REVIEW
    chat, _ = client("good", lambda request: refusal if len(request["messages"]) == 2 else GOOD)
    assert chat.review(complaints=lambda review: list(review.reasons)) == REVIEW


def test_a_worse_second_answer_does_not_replace_the_first(client: Any) -> None:
    chat, _ = client("good", lambda request: GOOD if len(request["messages"]) == 2 else "never mind")
    assert chat.review(complaints=lambda review: ["hm"]) == REVIEW


def test_the_text_form_is_offered_and_read_at_plain_text_only(client: Any) -> None:
    form = TextForm("HINT: say yes", lambda text: REVIEW if text == "yes" else None)
    chat, endpoint = client("text-only", "yes")
    assert chat.review(text_form=form) == REVIEW
    assert ["HINT" in request["messages"][0]["content"] for request in endpoint.requests] == [
        False,
        False,
        False,
        True,
    ]
    chat, _ = client("good", "yes")
    with pytest.raises(AnswerError):
        chat.review(text_form=form)


def test_a_cut_answer_gets_more_room_once(client: Any) -> None:
    chat, endpoint = client("short-of-room")
    assert chat.review() == REVIEW
    assert [request.get("max_tokens") for request in endpoint.requests] == [None, 8192]


@pytest.mark.parametrize(
    ("model", "says", "requests"),
    [
        ("always-cut", "cut short twice .finish_reason length", 2),
        ("no-finish-cut", "cut short twice .finish_reason None", 2),
        ("filters", "declined to answer: filtered", 1),
        ("refuses", "declined to answer: I cannot help", 1),
    ],
)
def test_answers_that_asking_again_does_not_mend(client: Any, model: str, says: str, requests: int) -> None:
    chat, endpoint = client(model)
    with pytest.raises(AnswerError, match=says):
        chat.review()
    assert len(endpoint.requests) == requests


@pytest.mark.parametrize("model", ["no-finish", "no-finish-prose"])
def test_a_server_that_never_says_how_it_ended_is_believed_where_the_answer_is_whole(client: Any, model: str) -> None:
    chat, endpoint = client(model)
    assert chat.review() == REVIEW
    assert len(endpoint.requests) == 1


def test_a_module_without_its_closing_fence_was_cut(client: Any) -> None:
    form = TextForm("HINT", lambda text: REVIEW if "```" in text else None)
    chat, endpoint = client("text-only|text-only|text-only|no-finish|no-finish", "```python\nx = 1")
    with pytest.raises(AnswerError, match="cut short twice"):
        chat.review(text_form=form)
    chat, endpoint = client("text-only|text-only|text-only|no-finish", "```python\nx = 1\n```")
    assert chat.review("c2/check", text_form=form) == REVIEW
    assert len(endpoint.requests) == 4


def test_a_huge_answer_is_not_sent_back_whole(client: Any) -> None:
    chat, endpoint = client("good", lambda request: "{" * 500_000 if len(request["messages"]) == 2 else GOOD)
    assert chat.review() == REVIEW
    assert len(endpoint.requests[1]["messages"][2]["content"]) == 20_000


def test_a_lone_surrogate_in_a_reply_costs_one_repair_turn(client: Any) -> None:
    chat, endpoint = client("good", lambda request: "\ud800" if len(request["messages"]) == 2 else GOOD)
    assert chat.review() == REVIEW
    assert len(endpoint.requests) == 2
    assert endpoint.requests[1]["messages"][2]["content"] == "?"


# ---------------------------------------------------------------- the record


def test_what_was_answered_is_not_asked_again(client: Any) -> None:
    chat, endpoint = client("good")
    assert chat.review() == resumed(chat).review() == REVIEW
    assert len(endpoint.requests) == 1


def test_an_answer_of_no_use_is_asked_for_anew(client: Any) -> None:
    says = ["no", "no", GOOD]
    chat, endpoint = client("good", lambda request: says.pop(0))
    with pytest.raises(AnswerError):
        chat.review()
    assert resumed(chat).review() == REVIEW
    assert len(endpoint.requests) == 3


def test_that_nobody_answered_is_on_record(client: Any) -> None:
    chat, _ = client("broken")
    with pytest.raises(EndpointError):
        chat.review()
    last = json.loads(chat.log.read_text().splitlines()[-1])
    assert (last["unanswered"], last["place"]) == ("EndpointError", "c1/check")


def test_a_place_says_what_it_took(client: Any) -> None:
    chat, _ = client("babble|good")
    chat.review()
    chat.review("c2/check")
    assert chat.spent("c1/check").usage.tokens == 30


# ---------------------------------------------------------------- tools


@pytest.mark.parametrize(("model", "calls"), [("good", 0), ("calls-tools", 1), ("calls-twice", 2)])
def test_tools_may_be_called_before_the_answer(client: Any, model: str, calls: int) -> None:
    chat, endpoint = client(model)
    tools = Toolbox()
    assert chat.review(tools=tools) == REVIEW
    assert [name for name, _ in tools.calls] == ["look"] * calls
    assert [json.loads(arguments) for _, arguments in tools.calls] == [{"number": n} for n in range(calls)]
    assert endpoint.formats() == ["tools"] * (calls + 1)
    assert roles(endpoint.requests[-1]) == ["system", "user", *["assistant", "tool"] * calls]
    said = [message["content"] for message in endpoint.requests[-1]["messages"] if message["role"] == "tool"]
    assert said == [f"result {n + 1}" for n in range(calls)]
    assert endpoint.requests[0]["tools"][0]["function"] == vars(LOOK)


def test_calls_are_bounded_and_then_the_answer_is_asked_for(client: Any) -> None:
    chat, endpoint = client("calls-for-ever")
    tools = Toolbox(most=2)
    assert chat.review(tools=tools) == REVIEW
    assert len(tools.calls) == 2
    assert endpoint.formats() == ["tools", "tools", "json_schema"]
    assert roles(endpoint.requests[-1]) == ["system", "user", "assistant", "user", "assistant", "user"]
    told = endpoint.requests[-1]["messages"]
    assert told[2]["content"] == 'I call look with {"number": 0}'
    assert told[3]["content"] == "The call gave:\nresult 1"
    assert "No calls are left" in told[5]["content"]


@pytest.mark.parametrize("model", ["no-tools", "no-tools-500"])
def test_an_endpoint_without_tools_answers_without_and_is_offered_none_again(client: Any, model: str) -> None:
    chat, endpoint = client(model)
    assert chat.review(tools=Toolbox()) == REVIEW
    assert chat.review("c2/check", tools=Toolbox()) == REVIEW
    assert endpoint.formats() == ["tools", "json_schema", "json_schema"]


def test_tools_can_be_switched_off(client: Any) -> None:
    chat, endpoint = client("calls-tools", tools=False)
    assert chat.review(tools=Toolbox()) == REVIEW
    assert endpoint.formats() == ["json_schema"]


def test_an_unusable_answer_after_calls_is_asked_for_on_the_ladder(client: Any) -> None:
    chat, endpoint = client("calls-tools", lambda r: GOOD if "response_format" in r else "Well, it looks fine.")
    assert chat.review(tools=Toolbox()) == REVIEW
    assert endpoint.formats() == ["tools", "tools", "json_schema"]
    assert "The call gave:\nresult 1" in endpoint.requests[-1]["messages"][3]["content"]


def test_calls_that_are_no_json_reach_the_tool_as_written_and_go_back_as_json(client: Any) -> None:
    chat, endpoint = client("calls-badly")
    tools = Toolbox()
    assert chat.review(tools=tools) == REVIEW
    assert tools.calls == [("look", '{"number": ')]
    sent = endpoint.requests[1]["messages"][2]["tool_calls"][0]["function"]["arguments"]
    assert json.loads(sent) == {"unreadable": '{"number": '}


def test_an_answer_in_the_guise_of_a_call_is_an_answer(client: Any) -> None:
    chat, _ = client("calls-answer")
    tools = Toolbox()
    assert chat.review(tools=tools) == REVIEW
    assert tools.calls == []


def test_an_exchange_with_tools_is_read_from_the_record_a_second_time(client: Any) -> None:
    chat, endpoint = client("calls-twice")
    first, second = Toolbox(), Toolbox()
    assert chat.review(tools=first) == resumed(chat).review(tools=second) == REVIEW
    assert first.calls == second.calls
    assert len(endpoint.requests) == 3


def test_importing_the_roles_imports_neither_langchain_nor_torch() -> None:
    code = (
        "import sys, marlsmith.agents.generator, marlsmith.agents.critic, marlsmith.agents.validator;"
        "heavy = ('torch', 'langchain_openai', 'openai', 'jinja2', 'langgraph');"
        "print([name for name in heavy if name in sys.modules])"
    )
    assert run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
