"""What an endpoint sent back, read from its own bytes: endpoints differ more than their clients allow for."""

from __future__ import annotations

import json
from typing import Any

from marlsmith.agents.asking.question import NO_USAGE, Reply, ToolCall, Usage
from marlsmith.schemas import printable

MOST_TOKENS = 1_000_000_000
"""A count beyond that is nonsense."""


class Malformed(Exception):
    """A 200 that holds no completion, in words for people; `usage` where it says one all the same."""

    def __init__(self, words: str, usage: Usage = NO_USAGE) -> None:
        super().__init__(words)
        self.usage = usage


def completion(data: bytes) -> Reply:
    """The reply that a body holds. Raises Malformed."""
    try:
        return _completion(data)
    except RecursionError:
        raise Malformed("the reply is nested beyond measure") from None


def _completion(data: bytes) -> Reply:
    try:
        body = json.loads(data.decode("utf-8-sig", "replace"), strict=False)
    except ValueError:
        raise Malformed(f"the reply is no JSON: {_start(data)}" if data.strip() else "the reply is empty") from None
    if not isinstance(body, dict):
        raise Malformed(f"the reply is no JSON object: {_start(data)}")
    usage = _usage(body.get("usage"))
    if body.get("error"):
        raise Malformed(f"the reply is an error: {printable(_plain(body['error'])[:2000], 200)}", usage)
    choices = body.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(first, dict):
        raise Malformed("the reply holds no choices", usage)
    message = first.get("message")
    if not isinstance(message, dict):
        if not isinstance(first.get("text"), str):
            raise Malformed("the reply holds no message", usage)
        message = {"content": first["text"]}
    finish = first.get("finish_reason")
    if finish == "error":
        raise Malformed("the endpoint says that it failed in the middle", usage)
    calls = _calls(message)
    text = _text(message.get("content"))
    if not text.strip() and not calls:  # the whole answer taken for thinking, where no closing tag came
        text = _text(message.get("reasoning_content") or message.get("reasoning"))
    model = body.get("model")
    return Reply(
        text=encodable(text),
        finish_reason=encodable(finish) if isinstance(finish, str) and finish else None,
        refusal=encodable(_text(message.get("refusal"))) or None,
        usage=usage,
        tool_calls=calls,
        model=printable(encodable(model)[:200], 100) if isinstance(model, str) and model else None,
    )


def encodable(value: Any) -> Any:
    """The JSON value with ? for lone surrogates: JSON can escape them, but neither a file nor a request takes them."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {encodable(key): encodable(item) for key, item in value.items()}
    return [encodable(item) for item in value] if isinstance(value, list) else value


def _text(content: Any) -> str:
    """A content may be a text, or a list of parts with texts in them."""
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        kind = content.get("type")
        return "" if kind in ("thinking", "reasoning") else _text(content.get("text") or content.get("content"))
    return "".join(map(_text, content)) if isinstance(content, list) else ""


def _calls(message: dict[str, Any]) -> tuple[ToolCall, ...]:
    listed = message.get("tool_calls")
    if not listed and isinstance(message.get("function_call"), dict):
        listed = [{"function": message["function_call"]}]  # as it was before there were tools
    calls = []
    for index, call in enumerate(listed if isinstance(listed, list) else []):
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict) and isinstance(function.get("name"), str):
            given = call.get("id")
            name, arguments = encodable(function["name"]), encodable(_plain(function.get("arguments") or {}))
            calls.append(
                ToolCall(encodable(given) if isinstance(given, str) and given else f"c{index}", name, arguments)
            )
    return tuple(calls)


def _usage(said: Any) -> Usage:
    if not isinstance(said, dict):
        return NO_USAGE
    prompt, completed = (
        _count(said, "prompt_tokens", "input_tokens"),
        _count(said, "completion_tokens", "output_tokens"),
    )
    cached = _count(said.get("prompt_tokens_details"), "cached_tokens") or _count(said, "prompt_cache_hit_tokens")
    reasoned = _count(said.get("completion_tokens_details"), "reasoning_tokens") or _count(said, "reasoning_tokens")
    return Usage(prompt, completed, min(cached, prompt), min(reasoned, completed))


def _count(said: Any, *names: str) -> int:
    for name in names:
        value = said.get(name) if isinstance(said, dict) else None
        if isinstance(value, (int, float)) and 0 < value <= MOST_TOKENS:
            return int(value)
    return 0


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _start(data: bytes) -> str:
    return printable(data[:400].decode("utf-8", "replace"), 120)
