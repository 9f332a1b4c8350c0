"""A reply that came as a stream of events although it was not asked for as one, put together again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

_STARTS = re.compile(r"\s*(?:data|event|id|retry)?:")
_TEXTS = ("content", "reasoning_content", "reasoning", "refusal")


def is_stream(text: str) -> bool:
    return _STARTS.match(text) is not None


def joined(text: str) -> dict[str, Any]:
    """The body that would have come without streaming, as far as the events go; an error among them stands for all."""
    texts: dict[str, list[Any]] = {name: [] for name in _TEXTS}
    calls: dict[int, dict[str, Any]] = {}
    body: dict[str, Any] = {}
    choice: dict[str, Any] = {}
    for event in _events(text):
        if event.get("error"):
            return event
        body |= {name: event[name] for name in ("usage", "model") if event.get(name)}
        choices = event.get("choices")
        first = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(first, dict) or first.get("index"):
            continue
        choice["finish_reason"] = first.get("finish_reason") or choice.get("finish_reason")
        part = first.get("delta") or first.get("message")
        if isinstance(part, dict):
            for name in _TEXTS:
                texts[name].append(part.get(name))
            _add(calls, part.get("tool_calls"))
    if choice:
        for call in calls.values():
            call["function"] = {"name": call["name"], "arguments": "".join(call["arguments"])}
        body["choices"] = [{**choice, "message": {**texts, "tool_calls": list(calls.values())}}]
    return body


def _events(text: str) -> Iterator[dict[str, Any]]:
    """Up to the first that is none, where the connection broke off."""
    for line in text.split("\n"):
        if line.startswith("data:") and (said := line.removeprefix("data:").strip()) not in ("", "[DONE]"):
            try:
                event = json.loads(said, strict=False)
            except ValueError:
                return
            if isinstance(event, dict):
                yield event


def _add(calls: dict[int, dict[str, Any]], parts: Any) -> None:
    """The name comes with the first part of a call, its arguments piece by piece."""
    for place, part in enumerate(parts if isinstance(parts, list) else ()):
        function = part.get("function") if isinstance(part, dict) else None
        if not isinstance(function, dict):
            continue
        index = part.get("index")
        call = calls.setdefault(index if isinstance(index, int) else place, {"name": None, "arguments": []})
        call["id"] = part.get("id") or call.get("id")
        call["name"] = function.get("name") or call["name"]
        if isinstance(function.get("arguments"), str):
            call["arguments"].append(function["arguments"])
