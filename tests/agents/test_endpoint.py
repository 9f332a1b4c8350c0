"""Endpoints of every kind: what passes by itself is tried again, what does not is told in one sentence, at once."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from marlsmith.agents.asking.question import Question, Tool
from marlsmith.agents.asking.wire.dialect import Dialect
from marlsmith.agents.asking.wire.patience import TRIES
from marlsmith.agents.make import make_roles
from marlsmith.agents.settings import ModelSettings, RoleSettings
from marlsmith.schemas import AnswerError, EndpointError, Review, UserError

GOOD = '{"approve": true, "reasons": ["fits"]}'
REVIEW = Review(approve=True, reasons=("fits",))
KEY = "sk-secret-0123456789"
LADDER = ["json_schema", "json_object", "tool", "text"]


# ---------------------------------------------------------------- forms


@pytest.mark.parametrize(
    ("model", "first", "second"),
    [
        ("json-object-only", LADDER[:2], ["json_object"]),
        ("tool-only", LADDER[:3], ["tool"]),
        ("text-only", LADDER, ["text"]),
        ("ignores-tool", LADDER[:3], ["text"]),
        ("no-schema-500", LADDER[:2], ["json_object"]),
    ],
)
def test_the_ladder_is_climbed_once_and_remembered(client: Any, model: str, first: Any, second: Any) -> None:
    chat, endpoint = client(model)
    assert chat.review() == REVIEW
    assert endpoint.formats() == first
    assert chat.review("c2/check") == REVIEW
    assert endpoint.formats() == first + second


def test_the_schema_travels_with_the_request(client: Any) -> None:
    chat, endpoint = client("tool-only")
    chat.review()
    sent = endpoint.requests[0]["response_format"]["json_schema"]
    assert (sent["name"], sent["schema"]) == ("Review", Review.model_json_schema())
    forced = endpoint.requests[2]
    assert forced["tools"][0]["function"]["parameters"] == Review.model_json_schema()
    assert forced["tool_choice"]["function"]["name"] == forced["tools"][0]["function"]["name"]


def test_an_endpoint_that_refuses_every_format_is_an_endpoint_error(client: Any) -> None:
    chat, endpoint = client("takes-nothing")
    with pytest.raises(EndpointError, match=r"refuses every request .*text is not supported"):
        chat.review()
    assert endpoint.formats() == LADDER


def test_a_question_that_is_too_long_teaches_nothing_about_the_endpoint(client: Any) -> None:
    chat, endpoint = client("too-long|good")
    with pytest.raises(AnswerError, match=r"refuses the question: .*maximum context length"):
        chat.review()
    assert chat.review("c2/check") == REVIEW
    assert endpoint.formats() == ["json_schema"] * 2


@pytest.mark.parametrize(
    ("model", "settings", "field"),
    [
        ("no-temperature", {"temperature": 0.5}, "temperature"),
        ("no-effort", {"reasoning_effort": "low"}, "reasoning_effort"),
        ("new-limit", {"max_tokens": 100}, "max_tokens"),
    ],
)
def test_a_field_that_is_not_taken_is_left_out_from_then_on(
    client: Any, model: str, settings: dict[str, Any], field: str
) -> None:
    chat, endpoint = client(model, **settings)
    assert [chat.review(), chat.review("c2/check")] == [REVIEW, REVIEW]
    assert [field in request for request in endpoint.requests] == [True, False, False]
    assert endpoint.formats() == ["json_schema"] * 3
    if field == "max_tokens":
        assert endpoint.requests[-1]["max_completion_tokens"] == 100


def test_room_that_is_too_large_is_asked_for_as_large_as_it_may_be(client: Any) -> None:
    chat, endpoint = client("small-room", max_tokens=9000)
    assert [chat.review(), chat.review("c2/check")] == [REVIEW, REVIEW]
    assert [request["max_tokens"] for request in endpoint.requests] == [9000, 4096, 4096]


def test_a_limit_that_never_fits_is_soon_given_up(client: Any) -> None:
    chat, endpoint = client("shrinking-room", max_tokens=3000)
    assert chat.review() == REVIEW
    assert [request.get("max_tokens") for request in endpoint.requests] == [3000, 2999, None]


def test_a_question_meets_ten_refusals_at_the_most() -> None:
    """By an endpoint that complains of everything at once, whatever it is sent."""
    words = "unsupported: temperature reasoning_effort max_tokens must be at most 17, instead response_format tools"
    tool = Tool("look", "Looks.", {"type": "object"})
    question = Question("critic", "s1r1", ({"role": "user", "content": "?"},), Review, tools=(tool,))
    settings = ModelSettings(model="m", max_tokens=9000, temperature=0.5, reasoning_effort="low")
    dialect: Dialect | None = Dialect()
    refusals = 0
    while dialect is not None:
        dialect, refusals = dialect.after(words, question, settings), refusals + 1
        assert refusals <= 10


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("'max_tokens' is too large: 9000. this model's maximum context length is 4096 tokens", {"roomless": True}),
        ("unrecognized request argument supplied: max_tokens", {"other_limit": True}),
        ("max_tokens must be less than or equal to 2048", {"most": 2048}),
        ("unsupported value: 'temperature' does not support 0.5", {"without": frozenset({"temperature"})}),
        ("extra fields not permitted", {"rung": 1}),
        ("this model's maximum context length is 4096 tokens, you sent 5000", None),
        ("the response was filtered due to our content management policy", None),
    ],
)
def test_a_refusal_is_understood(words: str, expected: dict[str, Any] | None) -> None:
    question = Question("critic", "s1r1", ({"role": "user", "content": "?"},), Review)
    settings = ModelSettings(model="m", base_url="http://h/v1", max_tokens=9000, temperature=0.5)
    after = Dialect().after(words, question, settings)
    assert after == (None if expected is None else Dialect(**expected))


def test_the_budget_hears_that_a_request_says_nothing_of_its_room(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    chat, endpoint = client("small-room|good", max_tokens=8000)
    monkeypatch.setattr(
        "marlsmith.agents.asking.wire.dialect._AT_MOST", re.compile("$^")
    )  # so that it cannot be adapted
    attempt, told = chat.accounts.attempt, []

    def spied(*args: Any, limited: bool) -> Any:
        told.append(limited)
        return attempt(*args, limited=limited)

    monkeypatch.setattr(chat.accounts, "attempt", spied)
    chat.review()
    assert told == ["max_tokens" in request for request in endpoint.requests] == [True, False]


def test_parallel_calls_share_what_was_learned(client: Any) -> None:
    chat, endpoint = client("text-only")
    chat.review()
    threads = [threading.Thread(target=chat.review, args=(f"c{n}/check",)) for n in range(2, 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert endpoint.formats() == LADDER + ["text"] * 4


# ---------------------------------------------------------------- tries


@pytest.mark.parametrize(
    ("model", "tokens"),
    [
        ("fails-once", 15),
        ("limited-once", 15),
        ("limited-absurdly", 15),
        ("error-once", 22),  # seven of them are the error's own
        ("no-choices-once", None),
        ("null-choices-once", None),
        ("html-once", None),
        ("cut-json-once", None),
        ("breaks-off|good", None),
        ("dead|good", None),
        ("packed|good", None),
    ],
)
def test_what_passes_by_itself_is_tried_again(client: Any, model: str, tokens: int | None) -> None:
    chat, endpoint = client(model)
    assert chat.review() == REVIEW
    assert len(endpoint.requests) == 2
    spent = chat.accounts.spent()
    assert (spent.calls, spent.failed) == (2, 1)
    if tokens is not None:
        assert spent.usage.tokens == tokens
    else:  # the question went out, and may have to be paid for
        assert spent.usage.estimated
        assert spent.usage.tokens > 15


@pytest.mark.parametrize("model", ["wrong-type", "parts", "reasons", "streams"])
def test_what_is_readable_is_read(client: Any, model: str) -> None:
    chat, endpoint = client(model)
    assert chat.review() == REVIEW
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("broken", "503 - down"),
        ("dead", "disconnected"),
        ("breaks-off", "closed"),
        ("html", "no JSON: <html>busy</html>"),
        ("no-choices", "holds no choices"),
        ("error", "overloaded"),
        ("nested", "nested beyond measure"),
        ("packed", "packed"),
        ("streams-error", "the reply is an error: .*overloaded"),
    ],
)
def test_tries_are_bounded_and_the_reason_is_told(client: Any, model: str, says: str) -> None:
    chat, endpoint = client(model)
    with pytest.raises(EndpointError, match=f"{model} at .* gave no usable reply in 3 tries .*{says}") as caught:
        chat.review()
    assert "\n" not in str(caught.value)
    assert len(endpoint.requests) == TRIES
    assert chat.accounts.spent().failed == TRIES


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("locked", "OPENAI_API_KEY is not set: set it"),
        ("forbidden", "OPENAI_API_KEY is not set: set it"),
        ("missing", "knows no model missing"),
        ("moved", r"has moved to http://127.0.0.1:\d+/v1/elsewhere \(HTTP 302\): write that address"),
        ("unpaid", "asks to be paid first"),
        ("no-credit", "has no credit left"),
        ("limited-long", "asks to be left alone for 7200 s"),
    ],
)
def test_what_no_retry_mends_is_told_at_once(client: Any, model: str, says: str) -> None:
    chat, endpoint = client(model)
    with pytest.raises(EndpointError, match=says):
        chat.review()
    assert len(endpoint.requests) == 1


def test_retry_after_is_honoured(client: Any, chat: Any) -> None:
    for model, least, most in (("limited-once", 0.0, 5.0), ("limited-until", 0.0, 5.0)):
        _, endpoint = client(model)
        patient = chat(endpoint.url, model, backoff=40.0)  # the endpoint asks for less
        started = time.monotonic()
        patient.review(f"{model}/check")
        assert least <= time.monotonic() - started < most


# ---------------------------------------------------------------- preflight and ping


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def test_nobody_there(chat: Any) -> None:
    made = chat(f"http://127.0.0.1:{closed_port()}/v1")
    with pytest.raises(EndpointError, match=r"does not answer: start it or check the address .*efused"):
        made.endpoint.preflight()
    with pytest.raises(EndpointError, match=r"3 tries .*efused"):
        made.review()
    assert [line["error"] is not None for line in made.lines()] == [True] * TRIES
    assert made.accounts.spent().usage.tokens == 0  # nobody has had the question


def test_preflight(client: Any, chat: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made, endpoint = client("good", key=KEY)
    with pytest.raises(EndpointError, match="OPENAI_API_KEY is not set: set it"):
        made.endpoint.preflight()
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    chat(endpoint.url).endpoint.preflight()
    chat(endpoint.url.replace("/v1", "/elsewhere")).endpoint.preflight()  # some know no list of models
    chat(endpoint.url.replace("/v1", "/moved")).endpoint.preflight()  # a sign of life; the key goes no further
    assert [path.split("/")[1] for path in endpoint.pages] == ["v1", "v1", "elsewhere", "moved"]


def test_preflight_is_bounded(chat: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        made = chat(f"http://127.0.0.1:{silent.getsockname()[1]}/v1", timeout=0.2)
        with pytest.raises(EndpointError, match=r"does not answer.*no reply within 0\.2 s"):
            made.endpoint.preflight()


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("calls-tools", {"rung": "json_schema", "tools": True, "usage": True, "model": "scripted-1"}),
        ("no-tools", {"rung": "json_schema", "tools": False}),
        ("text-only", {"rung": "text", "tools": False}),
        ("no-usage", {"usage": False}),
        ("caches", {"cached_tokens": 8, "reasoning_tokens": 3}),
        ("no-temperature", {"without": ("temperature",)}),
    ],
)
def test_a_ping_says_what_the_endpoint_can_do(client: Any, model: str, expected: dict[str, Any]) -> None:
    made, _ = client(model, temperature=0.5)
    ability = made.endpoint.ping()
    assert {name: getattr(ability, name) for name in expected} == expected
    assert 0 < ability.seconds < 60


def test_a_ping_of_a_dead_endpoint_fails(client: Any) -> None:
    made, _ = client("locked")
    with pytest.raises(EndpointError, match="OPENAI_API_KEY is not set"):
        made.endpoint.ping()


# ---------------------------------------------------------------- the record, and the key


def test_every_call_is_recorded_with_what_it_takes_to_replay_it(client: Any) -> None:
    chat, endpoint = client("fails-once")
    chat.review()
    failed, good = chat.lines()
    assert failed["error"]
    assert failed["text"] is None
    assert good["error"] is None
    asked = json.loads(good["asked"])
    assert (good["role"], asked["model"], asked["base_url"]) == ("validator", "fails-once", endpoint.url)
    assert good["messages"] == endpoint.requests[1]["messages"]
    assert (good["text"], good["finish_reason"], good["rung"]) == (GOOD, "stop", "json_schema")
    assert (good["usage"]["prompt_tokens"], good["usage"]["completion_tokens"]) == (10, 5)
    assert good["seconds"] >= 0


def test_parallel_roles_neither_tear_the_log_nor_lose_a_count(client: Any) -> None:
    chat, _ = client("good")
    threads = [threading.Thread(target=chat.review, args=(f"c{n}/check",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(chat.lines()) == 8
    spent = chat.accounts.spent()
    assert (spent.calls, spent.usage.prompt_tokens, spent.usage.completion_tokens) == (8, 80, 40)


def test_tokens_are_estimated_where_the_endpoint_does_not_say(client: Any) -> None:
    for model in ("no-usage", "null-usage"):
        chat, _ = client(model)
        chat.review()
        usage = chat.accounts.spent().usage
        assert usage.estimated
        assert usage.completion_tokens == -(-len(GOOD) // 4)
        chat.log.unlink()


def test_the_key_reaches_the_endpoint_and_nothing_else(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    chat, endpoint = client("good", key="another")  # its 401 echoes what it was given
    with pytest.raises(EndpointError) as caught:
        chat.review()
    assert endpoint.headers[0]["authorization"] == f"Bearer {KEY}"
    assert "OPENAI_API_KEY is not accepted: check it" in str(caught.value)
    assert KEY not in str(caught.value)
    assert KEY not in chat.log.read_text()
    assert KEY not in repr(vars(chat)) + repr(vars(chat.endpoint)) + repr(vars(chat.accounts))


def test_a_key_that_a_server_echoes_goes_no_further(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    chat, endpoint = client("good", json.dumps({"approve": False, "reasons": [KEY]}), key=KEY)
    assert chat.review(complaints=lambda review: ["hm"]).reasons == ("***",)
    assert len(endpoint.requests) == 2
    assert "***" in endpoint.requests[1]["messages"][2]["content"]
    chat.ask("validator", "c2/check", f"You know {KEY}.", "Review this.", Review)
    assert KEY not in chat.log.read_text()


def test_a_key_is_echoed_in_vain_wherever_it_stands(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    chat, _ = client("echoes", key=KEY)
    reply = chat.endpoint.send(Question("critic", "s1r1", ({"role": "user", "content": "?"},), Review))
    assert (reply.model, reply.finish_reason) == ("***", "***")
    assert [(call.id, call.name, call.arguments) for call in reply.tool_calls] == [("***", "***", '{"key": "***"}')]
    assert chat.endpoint.ping().model == "***"
    assert KEY not in chat.log.read_text()


def test_a_key_that_another_endpoint_was_given_goes_no_further(
    chat_endpoint: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Two models may be behind one server, which then knows both."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OTHER_KEY", "quite-another-0123")
    endpoint = chat_endpoint(lambda request: json.dumps({"approve": True, "reasons": [KEY, "quite-another-0123"]}))
    models = {
        name: ModelSettings(model=name, base_url=endpoint.url, key_variable=variable)
        for name, variable in {"a": "OPENAI_API_KEY", "b": "OTHER_KEY"}.items()
    }
    cast = make_roles(RoleSettings(generators=("a",), critic="b", models=models), tmp_path / "llm.jsonl")
    for wire in cast.endpoints:
        reply = wire.send(Question("critic", "s1r1", ({"role": "user", "content": "?"},), Review))
        assert json.loads(reply.text)["reasons"] == ["***", "***"]


def test_a_log_that_cannot_be_written_is_told_in_one_sentence(client: Any) -> None:
    chat, _ = client("good")
    chat.log.mkdir()
    with pytest.raises(UserError, match=r"llm\.jsonl cannot be written \(Is a directory\): make it writable"):
        chat.review()


@pytest.mark.parametrize("key", ["sk-secret\nsecond line", "sk-sécret-0123"])
def test_a_key_that_no_header_can_hold_is_refused_unquoted(
    client: Any, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    chat, _ = client("good")
    monkeypatch.setenv("OPENAI_API_KEY", key)
    for call in (chat.endpoint.preflight, chat.review):
        with pytest.raises(EndpointError, match="OPENAI_API_KEY holds") as caught:
            call()
        assert "cret" not in str(caught.value)


def test_a_placeholder_goes_out_where_no_key_is_set(client: Any) -> None:
    chat, endpoint = client("good")
    chat.review()
    assert endpoint.headers[0]["authorization"] == "Bearer none"
