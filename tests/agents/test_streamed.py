"""A reply that came as events although nobody asked for a stream is read like any other."""

from __future__ import annotations

import json
from typing import Any

import pytest

from marlsmith.agents.asking.keys import Keys
from marlsmith.agents.asking.question import Reply, Usage
from marlsmith.agents.asking.wire import completion as completion_module
from marlsmith.agents.asking.wire.completion import Malformed


def completion(data: bytes) -> Reply:
    return completion_module.completion(data, Keys())


def events(*told: Any) -> bytes:
    return "".join(f"data: {json.dumps(event) if event != '[DONE]' else event}\n\n" for event in told).encode()


def delta(finish: str | None = None, **part: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": part, "finish_reason": finish}]}


def call(index: int, arguments: str, **rest: str) -> dict[str, Any]:
    return {"index": index, "function": {"arguments": arguments, **rest}, **({"id": f"i{index}"} if rest else {})}


def test_a_stream_is_put_together() -> None:
    reply = completion(
        b": welcome\n\n"
        + events(
            delta(role="assistant", content=None),
            delta(content='{"a":'),
            {"choices": [{"index": 1, "delta": {"content": "of another choice"}}]},
            delta(content=" 1}\u2028"),
            delta(tool_calls=[call(0, '{"b', name="f")]),
            delta(tool_calls=[call(1, "{}", name="g"), call(0, '": 2}')]),
            delta("tool_calls"),
            {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}, "model": "m"},
            "[DONE]",
        )
    )
    assert (reply.text, reply.finish_reason, reply.usage, reply.model) == (
        '{"a": 1}\u2028',
        "tool_calls",
        Usage(3, 4),
        "m",
    )
    assert [(made.id, made.name, made.arguments) for made in reply.tool_calls] == [
        ("i0", "f", '{"b": 2}'),
        ("i1", "g", "{}"),
    ]


def test_a_stream_that_breaks_off_ends_without_a_reason() -> None:
    for rest in (b"", b'data: {"cho', b"data: 7\n\n"):
        reply = completion(events(delta(content="a"), delta(content="b")) + rest)
        assert (reply.text, reply.finish_reason) == ("ab", None)
    whole = {"choices": [{"message": {"content": "all at once"}, "finish_reason": "stop"}]}
    assert completion(events(whole)).text == "all at once"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (events({"error": {"message": "overloaded"}}), "is an error: .*overloaded"),
        (b"data: [DONE]\n\n", "no choices"),
        (b"event: ping\n\n", "no choices"),
        (events({"choices": [{"delta": {}, "finish_reason": "error"}]}), "failed in the middle"),
    ],
)
def test_a_stream_without_a_completion_is_malformed(data: bytes, says: str) -> None:
    with pytest.raises(Malformed, match=says):
        completion(data)
