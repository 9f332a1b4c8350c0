"""Answers are found in whatever surrounds them, in a bounded time, and nothing is read into what is not there."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marlsmith.agents.asking.address import Key
from marlsmith.agents.asking.keys import Keys
from marlsmith.agents.asking.lenient import Unreadable, lenient
from marlsmith.agents.asking.question import Reply, TextForm, Usage
from marlsmith.agents.asking.reading import LONGEST, Fault, read, without_reasoning
from marlsmith.agents.asking.wire import completion as completion_module
from marlsmith.agents.asking.wire.completion import MOST_CALLS, Malformed, refusal
from marlsmith.schemas import Review

GOOD = '{"approve": true, "reasons": ["fits"]}'
REVIEW = Review(approve=True, reasons=("fits",))


def completion(data: bytes) -> Reply:
    return completion_module.completion(data, Keys())


def review(text: str) -> Review:
    return read(Reply(text), Review, None)


# ---------------------------------------------------------------- where the answer is


@pytest.mark.parametrize(
    "model",
    [
        "good", "fenced", "blocks", "thinking", "thinking-long", "thinking-unopened", "thinking-unclosed", "channels",
        "prose", "pythonic", "commas", "quoted", "wrapped", "listed", "parts", "reasons", "damaged",
    ],
)  # fmt: skip
def test_the_answer_is_found_in_whatever_surrounds_it(client: Any, model: str) -> None:
    chat, endpoint = client(model)
    assert chat.review() == REVIEW
    assert endpoint.formats() == ["json_schema"]


@pytest.mark.parametrize(
    "text",
    [
        f'Not {{"approve": false}} but {GOOD}',
        f'<think>{{"approve": false}}</think>{GOOD}',
        f'{{"name": "answer", "arguments": {json.dumps(GOOD)}}}',
        "{'approve': True, 'reasons': ['fits',],} // done",
        '{"approve": true, // sure\n "reasons": [\n# one\n"fits"]}',
        '{"approve": true, "reasons": ["""fits"""]}',
        '{"approve":\u00a0true, "reasons": ["fi\\ts"]}'.replace("\\t", "t"),
        GOOD.replace("{", "{\ufeff\u200b"),
    ],
)
def test_the_answer_in_text(text: str) -> None:
    assert review(text) == REVIEW


def test_literal_line_breaks_in_a_json_string_pass() -> None:
    assert review('{"approve": true, "reasons": ["first line\nsecond line"]}').reasons == ("first line\nsecond line",)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "it is empty"),
        ("I agree.", "holds no JSON object"),
        ('{"approve": true, "reasons": ["fi', "not valid JSON"),
        ('{"approve": "perhaps"}', "approve: .*perhaps"),
        ("{'approve': True, 'reasons': [fits]}", "not valid JSON"),
        ("[1, 2]", "holds no JSON object"),
        ('<think>{"approve": true}</think>', "it is empty"),
        ("{" * 200_001, "200,001 characters"),
    ],
)
def test_what_ails_an_answer_is_said(text: str, says: str) -> None:
    with pytest.raises(Fault, match=says):
        review(text)


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("<think>a</think> b", "b"),
        ("a</THINK>b", "b"),
        ("<think>a</think>b<reasoning>c</reasoning>d", "d"),
        ("<thinking>only thought", "only thought"),
        ("a <think> b", "a <think> b"),
        ("<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b<|return|>", "b"),
    ],
)
def test_thinking_is_left_out(text: str, rest: str) -> None:
    assert without_reasoning(text) == rest


# ---------------------------------------------------------------- hostile texts


@pytest.mark.parametrize(
    "text",
    [
        "{" * LONGEST,
        "[" * LONGEST,
        '{"a' * (LONGEST // 3),
        "{'a" * (LONGEST // 3),
        '{"a":' * (LONGEST // 5),
        '[{"a": [' * (LONGEST // 8),
        "{}" * (LONGEST // 2),
        "[{}]," * (LONGEST // 5),
        '{"approve": [' + "1," * (LONGEST // 2 - 10),
        '{"approve": true, "reasons": [' + "1," * (LONGEST // 2 - 20) + "1]}",
        '{"x": ' + json.dumps('{"a":' * 10_000) + "}",
        "{/*" * (LONGEST // 3),
        "{//" * (LONGEST // 3),
        '{"""' * (LONGEST // 4) + "{" * 100_000,
        "{''" * (LONGEST // 6) + "{'" * (LONGEST // 6),
        '["",' * (LONGEST // 4),
        '{"a": 1e999}' * (LONGEST // 12),
        "{" + " " * (LONGEST - 2) + "!",
        "1" * LONGEST,
        "[" + "1" * (LONGEST - 2) + "]",
        '{"a": "' + "\\" * (LONGEST - 10),
        '{"""' + '"" ' * (LONGEST // 4),
        "<think>" * (LONGEST // 7),
        "</think><think>" * 500_000,
        "<|channel|>final" * 500_000,
        "```\n" * 2_000_000,
        "{" * 10_000_000,
        '"' + "\\u0000" * 1_000_000 + '"',
    ],
    ids=range(28),
)
def test_no_text_takes_long(text: str) -> None:
    started = time.monotonic()
    with pytest.raises(Fault) as caught:
        review(text)
    assert time.monotonic() - started < 5
    assert len(str(caught.value)) < 2000


def test_an_answer_behind_many_braces_is_found() -> None:
    assert review("A set such as {x} or {y: 1}. " * 100 + GOOD) == REVIEW


# ---------------------------------------------------------------- not quite JSON

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=10,
)  # fmt: skip


@given(VALUES)
def test_json_is_read_leniently_as_strictly(value: Any) -> None:
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False, indent=1)):
        assert lenient(text, 0) == (json.loads(text), len(text))


@given(VALUES, st.integers(1, 50))
def test_a_value_that_is_cut_off_is_not_read(value: Any, cut: int) -> None:
    text = json.dumps({"value": value})
    with pytest.raises(Unreadable):
        lenient(text[: max(1, len(text) - cut)], 0)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{'it': 'isn\\'t'}", {"it": "isn't"}),
        ('{"a": "x\\_y \\u0041 \\q"}', {"a": "x\\_y A \\q"}),
        ("{'a': [1., .5, +2, -3e2, 007]}", {"a": [1.0, 0.5, 2.0, -300.0, 7.0]}),
        ('{"""a "quoted" one""": None}', {'a "quoted" one': None}),
    ],
)
def test_python_in_place_of_json(text: str, value: Any) -> None:
    assert lenient(text, 0)[0] == value


@pytest.mark.parametrize("text", ["{a: 1}", "{1: 2}", "{'a' 1}", "{,}", "[1 2]", "{'a': undefined}", "[" * 1000, ""])
def test_what_could_mean_several_things_is_not_read(text: str) -> None:
    with pytest.raises(Unreadable):
        lenient(text, 0)


# ---------------------------------------------------------------- bodies


def body(message: Any = None, finish: Any = "stop", **fields: Any) -> bytes:
    return json.dumps({"choices": [{"message": message, "finish_reason": finish}], **fields}).encode()


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"content": "a"}, "a"),  # no role
        ({"content": [{"type": "text", "text": "a"}, {"type": "output_text", "text": "b"}, "c"]}, "abc"),
        ({"content": {"type": "text", "text": "a"}}, "a"),
        ({"content": None, "reasoning": "a"}, "a"),
        ({"content": "\ud800"}, "?"),
        ({"content": 7}, ""),
    ],
)
def test_a_message_in_every_form(message: Any, text: str) -> None:
    assert completion(body(message)).text == text


def test_tokens_in_every_form() -> None:
    def usage(said: Any) -> Usage:
        return completion(body({"content": "a"}, usage=said)).usage

    assert usage({"input_tokens": 3, "output_tokens": 2.0}) == Usage(3, 2)
    assert usage({"prompt_tokens": 9, "completion_tokens": 4, "prompt_cache_hit_tokens": 5}) == Usage(9, 4, 5)
    assert usage({"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 50}}) == Usage(9, 0, 9)
    for nonsense in (None, 3, [], {"prompt_tokens": -1, "completion_tokens": 1e30}, {"prompt_tokens": "9"}):
        assert usage(nonsense) == Usage()


@pytest.mark.parametrize(
    ("said", "completed", "reasoned"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 1015}, 1005, 0),
        ({"prompt_tokens": 10, "completion_tokens": 5, "reasoning_tokens": 1000}, 1005, 1000),
        ({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 1015, "reasoning_tokens": 1000}, 1005, 1000),
        ({"prompt_tokens": 10, "completion_tokens": 1005, "total_tokens": 1015, "reasoning_tokens": 1000}, 1005, 1000),
        ({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 3}, 5, 0),
    ],
)
def test_what_is_thought_is_counted_wherever_it_is_told(said: Any, completed: int, reasoned: int) -> None:
    usage = completion(body({"content": "a"}, usage=said)).usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.reasoning_tokens) == (10, completed, reasoned)


def test_a_total_is_enough_and_an_absurd_count_is_none() -> None:
    assert completion(body({"content": "a"}, usage={"total_tokens": 5000})).usage == Usage(0, 5000)
    for name in ("prompt_tokens", "completion_tokens", "total_tokens", "reasoning_tokens"):
        said = {"prompt_tokens": 10, "completion_tokens": 5, name: 10**12}
        assert completion(body({"content": "a"}, usage=said)).usage == Usage()


def test_what_is_kept_of_a_reply_is_bounded() -> None:
    calls = [{"id": "i" * 9000, "function": {"name": "look\n\x1b[31m" * 99, "arguments": "{}"}}] * 9000
    reply = completion(body({"content": None, "tool_calls": calls}, "length\x1b[31m" + "x" * 9000, model="m\n" * 9000))
    assert len(reply.tool_calls) == MOST_CALLS
    assert len({call.id for call in reply.tool_calls}) == MOST_CALLS
    for said in (reply.tool_calls[0].name, reply.tool_calls[0].id, reply.finish_reason, reply.model):
        assert said is not None
        assert len(said) <= 100
        assert said.isprintable()
    assert reply.cut


def test_tool_calls_in_every_form() -> None:
    message = {
        "tool_calls": [
            {"id": "x", "function": {"name": "f", "arguments": {"a": 1}}},
            {"function": {"name": "g", "arguments": None}},
            {"function": {"arguments": "{}"}},
            None,
        ]
    }
    calls = completion(body(message)).tool_calls
    assert [(call.id, call.name, call.arguments) for call in calls] == [("x", "f", '{"a": 1}'), ("c1", "g", "{}")]
    assert completion(body({"function_call": {"name": "f", "arguments": "{"}})).tool_calls[0].name == "f"


@pytest.mark.parametrize(
    ("finish", "cut", "filtered"),
    [("stop", False, False), ("length", True, False), ("MAX_TOKENS", True, False), ("content_filter", False, True),
     (None, False, False), (7, False, False)],
)  # fmt: skip
def test_how_a_reply_ended(finish: Any, cut: bool, filtered: bool) -> None:
    reply = completion(body({"content": "a"}, finish))
    assert (reply.cut, reply.filtered) == (cut, filtered)


@given(st.binary(max_size=60) | VALUES.map(lambda value: json.dumps({"choices": [value], "usage": value}).encode()))
def test_no_body_breaks_the_reading(data: bytes) -> None:
    try:
        reply = completion(data)
    except Malformed:
        return
    assert isinstance(reply.text, str)
    assert reply.text.encode()


# ---------------------------------------------------------------- refusals, keys


@pytest.mark.parametrize(
    ("data", "said", "words"),
    [
        (b'{"error": {"message": "Bad Field", "code": "No_Such", "param": "x"}}', "Bad Field", "bad field no_such x"),
        (b'{"message": "Bad Field", "code": 40}', "Bad Field", "bad field 40"),
        (b'{"error": "Bad Field"}', "Bad Field", "bad field"),
        (b'{"detail": [{"loc": ["tools"]}]}', '[{"loc": ["tools"]}]', '[{"loc": ["tools"]}]'),
        (b"<html>Busy</html>", "<html>Busy</html>", "<html>busy</html>"),
        (b"\xff[[[", "\ufffd[[[", "\ufffd[[["),
        (b"[" * 90_000, "[" * 279 + "\u2026", "[" * 4000),
    ],
)
def test_a_refusal_in_every_form(data: bytes, said: str, words: str) -> None:
    assert refusal(400, data, Keys()) == (f"Error code: 400 - {said}", words)
    assert refusal(500, b"", Keys()) == ("Error code: 500", "")


def test_a_key_is_hidden_before_anything_is_shortened(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "sk-secret-0123456789"
    monkeypatch.setenv("A_KEY", secret)
    keys = Keys([Key("A_KEY")])
    for length in range(80, 300, 7):
        for data in (
            b"x" * length + secret.encode(),
            b"\0" * 385 + secret.encode(),
            json.dumps({"error": "x" * length + secret}).encode(),
        ):
            with pytest.raises(Malformed) as caught:
                completion_module.completion(data, keys)
            assert secret[:5] not in str(caught.value)
            assert secret[:5] not in "".join(refusal(400, data, keys))


def test_a_key_that_only_reading_makes_whole_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where no endpoint has hidden it before: a person answered, or the record."""
    secret = "sk-secret-0123456789"
    monkeypatch.setenv("A_KEY", secret)
    keys = Keys([Key("A_KEY")])
    for between in ("\u200b" * 40, "\0" * 40):
        reply = Reply(f'{{"approve": true, "reasons": ["{between.join(secret)}"]}}')
        assert read(reply, Review, None, keys).reasons == ("***",)
    reply = Reply('{"approve": true, "reasons": ["' + "".join(f"\\u{ord(letter):04x}" for letter in secret) + '"]}')
    assert read(reply, Review, None, keys).reasons == ("***",)
    form = TextForm("", lambda text: Review(approve=True, reasons=(text,)))
    assert read(Reply(f"\u200b{secret}"), Review, form, keys).reasons == ("***",)
    with pytest.raises(Fault) as caught:
        read(Reply(f'{{"approve": "{secret}"}}'), Review, None, keys)
    assert secret[:5] not in str(caught.value)
