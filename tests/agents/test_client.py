"""The client against a scripted endpoint: every fault either mends itself, or is told in one sentence."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import run
from typing import Any

import pytest

from marlsmith.agents.asking.accounts import Accounts
from marlsmith.agents.asking.address import HOSTED, Key, address, parse_model
from marlsmith.agents.asking.client import Client
from marlsmith.agents.asking.endpoint import TRIES, Endpoint
from marlsmith.agents.asking.question import AnswerError, TextForm
from marlsmith.agents.settings import ModelSettings
from marlsmith.schemas import EndpointError, Review, UserError

GOOD = '{"approve": true, "reasons": ["fits"]}'
REVIEW = Review(approve=True, reasons=("fits",))
KEY = "sk-secret-0123456789"


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


class Chat(Client):
    """A client with all that stands behind it."""

    def __init__(self, settings: ModelSettings, log: Path, backoff: float = 0.0) -> None:
        self.log = log
        self.accounts = Accounts(log, keys=[Key(settings.key_variable)])
        self.endpoint = Endpoint(settings, self.accounts, backoff)
        super().__init__(self.endpoint, self.accounts)


@pytest.fixture
def client(chat_endpoint: Callable[..., Any], tmp_path: Path) -> Callable[..., tuple[Chat, Any]]:
    def make(model: str, content: Any = GOOD, **options: Any) -> tuple[Chat, Any]:
        endpoint = chat_endpoint(content, key=options.pop("key", None))
        settings = parse_model(endpoint.spec(model)).model_copy(update=options)
        return Chat(settings, tmp_path / "llm.jsonl"), endpoint

    return make


def ask(client: Client, **options: Any) -> Review:
    return client.ask("validator", "c1/check", "You review. Answer in JSON.", "Review this.", Review, **options)


def lines(client: Chat) -> list[dict[str, Any]]:
    return [json.loads(line) for line in client.log.read_text().splitlines()]


# ---------------------------------------------------------------- answers


@pytest.mark.parametrize("model", ["good", "fenced", "thinking", "thinking-unopened", "prose"])
def test_the_answer_is_found_in_whatever_surrounds_it(client: Any, model: str) -> None:
    chat, endpoint = client(model)
    assert ask(chat) == REVIEW
    assert endpoint.formats() == ["json_schema"]


def test_literal_line_breaks_in_a_json_string_pass(client: Any) -> None:
    chat, _ = client("good", '{"approve": true, "reasons": ["first line\nsecond line"]}')
    assert ask(chat).reasons == ("first line\nsecond line",)


@pytest.mark.parametrize(
    ("model", "first", "second"),
    [
        ("json-object-only", ["json_schema", "json_object"], ["json_object"]),
        ("text-only", ["json_schema", "json_object", "text"], ["text"]),
    ],
)
def test_the_ladder_is_climbed_once_and_remembered(client: Any, model: str, first: Any, second: Any) -> None:
    chat, endpoint = client(model)
    assert ask(chat) == REVIEW
    assert endpoint.formats() == first
    assert ask(chat) == REVIEW
    assert endpoint.formats() == first + second


def test_the_schema_travels_with_the_request(client: Any) -> None:
    chat, endpoint = client("good")
    ask(chat)
    sent = endpoint.requests[0]["response_format"]["json_schema"]
    assert sent["name"] == "Review"
    assert sent["schema"] == Review.model_json_schema()


@pytest.mark.parametrize(("model", "fault"), [("bad-once", "perhaps"), ("empty-once", "it is empty")])
def test_the_repair_turn_quotes_the_fault(client: Any, model: str, fault: str) -> None:
    chat, endpoint = client(model)
    assert ask(chat) == REVIEW
    _, repair = endpoint.requests
    assert [message["role"] for message in repair["messages"]] == ["system", "user", "assistant", "user"]
    assert fault in repair["messages"][-1]["content"]


def test_one_repair_turn_and_no_more(client: Any) -> None:
    chat, endpoint = client("babble")
    with pytest.raises(AnswerError, match="babble as validator: unusable after a repair turn: it holds no JSON"):
        ask(chat)
    assert len(endpoint.requests) == 2


def test_complaints_are_sent_back_once_and_then_left_to_the_caller(client: Any) -> None:
    chat, endpoint = client("good")
    assert ask(chat, complaints=lambda review: ["the reason is too short"]) == REVIEW
    assert len(endpoint.requests) == 2
    assert "the reason is too short" in endpoint.requests[1]["messages"][-1]["content"]


def test_the_answer_with_fewer_complaints_stands(client: Any) -> None:
    refusal = '{"approve": false, "reasons": ["x", "y"]}'
    chat, _ = client("good", lambda request: GOOD if len(request["messages"]) == 2 else refusal)
    assert ask(chat, complaints=lambda review: list(review.reasons)) == REVIEW
    chat, _ = client("good", lambda request: refusal if len(request["messages"]) == 2 else GOOD)
    assert ask(chat, complaints=lambda review: list(review.reasons)) == REVIEW


def test_a_worse_second_answer_does_not_replace_the_first(client: Any) -> None:
    chat, _ = client("good", lambda request: GOOD if len(request["messages"]) == 2 else "never mind")
    assert ask(chat, complaints=lambda review: ["hm"]) == REVIEW


def test_the_text_form_is_offered_and_read_at_plain_text_only(client: Any) -> None:
    form = TextForm("HINT: say yes", lambda text: REVIEW if text == "yes" else None)
    chat, endpoint = client("text-only", "yes")
    assert ask(chat, text_form=form) == REVIEW
    assert ["HINT" in request["messages"][0]["content"] for request in endpoint.requests] == [
        False,
        False,
        True,
    ]
    chat, _ = client("good", "yes")
    with pytest.raises(AnswerError):
        ask(chat, text_form=form)


def test_a_cut_answer_gets_more_room_once(client: Any) -> None:
    chat, endpoint = client("short-of-room")
    assert ask(chat) == REVIEW
    assert [request.get("max_tokens") for request in endpoint.requests] == [None, 8192]


@pytest.mark.parametrize(
    ("model", "says", "requests"),
    [
        ("always-cut", "cut short twice .finish_reason length", 2),
        ("no-finish", "cut short twice .finish_reason None", 2),
        ("refuses", "declined to answer: I cannot help", 1),
    ],
)
def test_answers_that_asking_again_does_not_mend(client: Any, model: str, says: str, requests: int) -> None:
    chat, endpoint = client(model)
    with pytest.raises(AnswerError, match=says):
        ask(chat)
    assert len(endpoint.requests) == requests


# ---------------------------------------------------------------- endpoints


@pytest.mark.parametrize(
    "model",
    ["fails-once", "limited-once", "no-choices-once", "null-choices-once", "html-once", "cut-json-once"],
)
def test_what_passes_by_itself_is_tried_again(client: Any, model: str) -> None:
    chat, endpoint = client(model)
    assert ask(chat) == REVIEW
    assert len(endpoint.requests) == 2
    spent = chat.accounts.spent()
    assert (spent.calls, spent.failed, spent.usage.tokens) == (2, 1, 15)


def test_tries_are_bounded(client: Any) -> None:
    chat, endpoint = client("broken")
    with pytest.raises(EndpointError, match="no usable reply in 3 tries"):
        ask(chat)
    assert len(endpoint.requests) == TRIES
    assert chat.accounts.spent().failed == TRIES


def test_retry_after_is_honoured(client: Any) -> None:
    chat, _ = client("limited-once")
    chat.backoff = 30.0  # the endpoint says 0
    started = time.monotonic()
    ask(chat)
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("locked", "OPENAI_API_KEY is not set: set it"),
        ("forbidden", "OPENAI_API_KEY is not set: set it"),
        ("missing", "knows no model missing"),
    ],
)
def test_what_no_retry_mends_is_told_at_once(client: Any, model: str, says: str) -> None:
    chat, endpoint = client(model)
    with pytest.raises(EndpointError, match=says):
        ask(chat)
    assert len(endpoint.requests) == 1


def test_an_endpoint_that_refuses_every_format_is_an_endpoint_error(client: Any) -> None:
    chat, endpoint = client("takes-nothing")
    with pytest.raises(EndpointError, match=r"refuses every request .*text is not supported"):
        ask(chat)
    assert endpoint.formats() == ["json_schema", "json_object", "text"]


def test_a_silent_endpoint_is_given_up_after_its_timeout(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        base_url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        chat = Chat(ModelSettings(model="m", base_url=base_url, timeout=0.2), tmp_path / "llm.jsonl")
        with pytest.raises(EndpointError, match=r"no reply within 0\.2 s"):
            ask(chat)


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def test_nobody_there(tmp_path: Path) -> None:
    chat = Chat(ModelSettings(model="m", base_url=f"http://127.0.0.1:{closed_port()}/v1"), tmp_path / "l.jsonl")
    with pytest.raises(EndpointError, match="does not answer: start it or check the address"):
        chat.endpoint.preflight()
    with pytest.raises(EndpointError, match=r"3 tries .*onnect"):
        ask(chat)
    assert [line["error"] is not None for line in lines(chat)] == [True] * TRIES


def test_preflight(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    chat, endpoint = client("good", key=KEY)
    with pytest.raises(EndpointError, match="OPENAI_API_KEY is not set: set it"):
        chat.endpoint.preflight()
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    chat.endpoint.preflight()
    Chat(ModelSettings(model="m", base_url=endpoint.url.replace("/v1", "/elsewhere")), chat.log).endpoint.preflight()


# ---------------------------------------------------------------- the record, and the key


def test_every_call_is_recorded_with_what_it_takes_to_replay_it(client: Any) -> None:
    chat, endpoint = client("fails-once")
    ask(chat)
    failed, good = lines(chat)
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
    threads = [threading.Thread(target=ask, args=(chat,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lines(chat)) == 8
    spent = chat.accounts.spent()
    assert (spent.calls, spent.usage.prompt_tokens, spent.usage.completion_tokens) == (8, 80, 40)


def test_the_key_reaches_the_endpoint_and_nothing_else(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    chat, endpoint = client("good", key="another")  # its 401 echoes what it was given
    with pytest.raises(EndpointError) as caught:
        ask(chat)
    assert endpoint.headers[0]["authorization"] == f"Bearer {KEY}"
    assert "OPENAI_API_KEY is not accepted" in str(caught.value)
    assert KEY not in str(caught.value)
    assert KEY not in chat.log.read_text()
    assert KEY not in repr(vars(chat)) + repr(vars(chat.endpoint)) + repr(vars(chat.accounts))


def test_a_key_that_a_server_echoes_goes_no_further(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    chat, endpoint = client("good", json.dumps({"approve": False, "reasons": [KEY]}), key=KEY)
    assert ask(chat, complaints=lambda review: ["hm"]).reasons == ("***",)
    assert len(endpoint.requests) == 2
    assert "***" in endpoint.requests[1]["messages"][2]["content"]
    chat.ask("validator", "c1/check", f"You know {KEY}.", "Review this.", Review)
    assert KEY not in chat.log.read_text()


def test_a_lone_surrogate_in_a_reply_costs_one_repair_turn(client: Any) -> None:
    chat, endpoint = client("good", lambda request: "\ud800" if len(request["messages"]) == 2 else GOOD)
    assert ask(chat) == REVIEW
    assert len(endpoint.requests) == 2
    assert endpoint.requests[1]["messages"][2]["content"] == "?"


def test_a_log_that_cannot_be_written_is_told_in_one_sentence(client: Any) -> None:
    chat, _ = client("good")
    chat.log.mkdir()
    with pytest.raises(UserError, match=r"llm\.jsonl cannot be written \(Is a directory\): make it writable"):
        ask(chat)


@pytest.mark.parametrize("key", ["sk-secret\nsecond line", "sk-sécret-0123"])
def test_a_key_that_no_header_can_hold_is_refused_unquoted(
    client: Any, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    chat, _ = client("good")
    monkeypatch.setenv("OPENAI_API_KEY", key)
    for call in (chat.endpoint.preflight, lambda: ask(chat)):
        with pytest.raises(EndpointError, match="OPENAI_API_KEY holds") as caught:
            call()
        assert "cret" not in str(caught.value)


def test_a_placeholder_goes_out_where_no_key_is_set(client: Any) -> None:
    chat, endpoint = client("good")
    ask(chat)
    assert endpoint.headers[0]["authorization"] == "Bearer none"


# ---------------------------------------------------------------- MODEL@BASE_URL


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("qwen3:8b@http://localhost:11434/v1", ModelSettings(model="qwen3:8b", base_url="http://localhost:11434/v1")),
        ("org/model@2026@https://host/v1/", ModelSettings(model="org/model@2026", base_url="https://host/v1")),
    ],
)
def test_parse_model(spec: str, expected: ModelSettings) -> None:
    assert parse_model(spec) == expected


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("m@localhost:8000", "names no http"),
        ("m@ftp://host", "names no http"),
        ("m@http://", "no http.s. address"),
        ("m@http://host:port/v1", "no http.s. address"),
        ("@http://host/v1", "names no model"),
        ("", "names no model"),
        ("m@http://me:hunter2@host/v1", "carries a password"),
        ("ofline", "neither 'offline' nor a model that can be reached"),
    ],
)
def test_a_spec_that_cannot_work_is_refused_in_one_sentence(spec: str, says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        parse_model(spec)
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_hosted_model_needs_the_key_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert parse_model("gpt-5") == ModelSettings(model="gpt-5")
    assert address(parse_model("gpt-5")) == HOSTED
    monkeypatch.setenv("OPENAI_BASE_URL", "http://proxy/v1")
    assert address(parse_model("gpt-5")) == "http://proxy/v1"


def test_importing_the_roles_imports_neither_langchain_nor_torch() -> None:
    code = (
        "import sys, marlsmith.agents.generator, marlsmith.agents.critic, marlsmith.agents.validator;"
        "heavy = ('torch', 'langchain_openai', 'openai', 'jinja2', 'langgraph');"
        "print([name for name in heavy if name in sys.modules])"
    )
    assert run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
