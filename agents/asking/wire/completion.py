"""What an endpoint sent back, read from its own bytes: endpoints differ more than their clients allow for."""

from __future__ import annotations

import json
from typing import Any

from marlsmith.agents.asking.keys import Keys
from marlsmith.agents.asking.lenient import encodable
from marlsmith.agents.asking.question import NO_USAGE, Reply, ToolCall, Usage
from marlsmith.agents.asking.wire.streamed import is_stream, joined

MOST_TOKENS = 10_000_000
"""A count beyond that is nonsense, for no model has so much room: it counts as not said."""
MOST_CALLS = 32
"""Tool calls of one reply that are kept."""
LONGEST_ID = 4000
"""Characters of a call's name in the conversation; some gateways keep a model's thoughts in it."""
LONGEST_WORDS = 4000
"""Characters of a refusal that are looked through for its reason."""
LARGEST_REFUSAL = 100_000
"""Bytes of one that is read as JSON."""


class Malformed(Exception):
    """A 200 that holds no completion, in words for people; `usage` where it says one all the same."""

    def __init__(self, words: str, usage: Usage = NO_USAGE) -> None:
        super().__init__(words)
        self.usage = usage


def completion(data: bytes, keys: Keys) -> Reply:
    """The reply that a body holds, without the keys: from here it goes into logs and programs. Raises Malformed."""
    try:
        return _completion(data, keys)
    except RecursionError:
        raise Malformed("the reply is nested beyond measure") from None


def refusal(status: int, data: bytes, keys: Keys) -> tuple[str, str]:
    """What a reply with such a status says for people, and all that it says of the reason, in lower case."""
    text = data.decode("utf-8-sig", "replace")
    try:
        body = json.loads(text) if len(data) <= LARGEST_REFUSAL else None
    except (ValueError, RecursionError):
        body = None
    error = body.get("error") or body if isinstance(body, dict) else body
    message, codes = error, []
    if isinstance(error, dict):
        message = error.get("message") or error.get("detail") or error
        codes = [error.get(name) for name in ("code", "type", "param")]
    said = encodable(_plain(message)) if message else text
    words = keys.hide(" ".join([said, *(encodable(_plain(code)) for code in codes if code)]))
    start = f"Error code: {status}"
    return f"{start} - {told}" if (told := keys.told(said, 280)) else start, words[:LONGEST_WORDS].lower()


def _completion(data: bytes, keys: Keys) -> Reply:
    text = data.decode("utf-8-sig", "replace")
    try:
        body = joined(text) if is_stream(text) else json.loads(text, strict=False)
    except ValueError:
        said = f"the reply is no JSON: {keys.told(text, 120)}"
        raise Malformed(said if text.strip() else "the reply is empty") from None
    if not isinstance(body, dict):
        raise Malformed(f"the reply is no JSON object: {keys.told(text, 120)}")
    usage = _usage(body.get("usage"))
    if body.get("error"):
        raise Malformed(f"the reply is an error: {keys.told(_plain(body['error']), 200)}", usage)
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
    calls = _calls(message, keys)
    answer = _text(message.get("content"))
    if not answer.strip() and not calls:  # the whole answer taken for thinking, where no closing tag came
        answer = _text(message.get("reasoning_content")) or _text(message.get("reasoning"))
    model = body.get("model")
    return Reply(
        text=keys.hide(encodable(answer)),
        finish_reason=keys.told(finish, 40) if isinstance(finish, str) and finish else None,
        refusal=keys.hide(encodable(_text(message.get("refusal")))) or None,
        usage=usage,
        tool_calls=calls,
        model=keys.told(model, 100) if isinstance(model, str) and model else None,
    )


def _text(content: Any) -> str:
    """A content may be a text, or a list of parts with texts in them."""
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        kind = content.get("type")
        return "" if kind in ("thinking", "reasoning") else _text(content.get("text") or content.get("content"))
    return "".join(map(_text, content)) if isinstance(content, list) else ""


def _calls(message: dict[str, Any], keys: Keys) -> tuple[ToolCall, ...]:
    listed = message.get("tool_calls")
    if not listed and isinstance(message.get("function_call"), dict):
        listed = [{"function": message["function_call"]}]  # as it was before there were tools
    calls = []
    for index, call in enumerate(listed[:MOST_CALLS] if isinstance(listed, list) else []):
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict) and isinstance(function.get("name"), str):
            given = call.get("id")
            known = isinstance(given, str) and 0 < len(given) <= LONGEST_ID
            arguments = keys.hide(encodable(_plain(function.get("arguments") or {})))
            id = keys.hide(encodable(given)) if known else f"c{index}"
            calls.append(ToolCall(id, keys.told(function["name"], 100), arguments))
    return tuple(calls)


def _usage(said: Any) -> Usage:
    """What is thought may be counted apart from the answer: then it is in the total only, or nowhere else."""
    if not isinstance(said, dict):
        return NO_USAGE
    prompt, completed, total = (
        _count(said, "prompt_tokens", "input_tokens"),
        _count(said, "completion_tokens", "output_tokens"),
        _count(said, "total_tokens"),
    )
    cached = _count(said.get("prompt_tokens_details"), "cached_tokens") or _count(said, "prompt_cache_hit_tokens")
    reasoned = _count(said.get("completion_tokens_details"), "reasoning_tokens") or _count(said, "reasoning_tokens")
    completed = max(completed, total - prompt)
    completed += reasoned if reasoned > completed else 0
    if max(prompt, completed, total) > MOST_TOKENS:
        return NO_USAGE
    return Usage(prompt, completed, min(cached, prompt), reasoned)


def _count(said: Any, *names: str) -> int:
    for name in names:
        value = said.get(name) if isinstance(said, dict) else None
        if isinstance(value, (int, float)) and value > 0:
            return int(min(value, MOST_TOKENS + 1))
    return 0


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
