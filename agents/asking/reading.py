"""What a reply says: the JSON object among fences, thinking and prose, validated, or what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from marlsmith.agents.asking.question import Answer, Reply, TextForm
from marlsmith.schemas import printable


class Fault(Exception):
    """What is wrong with an answer, in words that its author can act on."""


def read(reply: Reply, schema: type[Answer], text_form: TextForm[Answer] | None) -> Answer:
    """The first JSON object that the schema takes; raises Fault with what ails the largest one."""
    text = without_reasoning(reply.text)
    fault, largest = _no_json(text), 0
    for value, size in _json_values(text):
        try:
            return schema.model_validate(value)
        except ValidationError as error:
            if size > largest:
                fault, largest = _in_words(error), size
    if text_form and reply.rung == "text":
        answer = text_form.read(text)
        if answer is not None:
            return answer
    raise Fault(fault)


def without_reasoning(text: str) -> str:
    """Text after the model's thinking; some servers send the closing tag only."""
    return text.rpartition("</think>")[2].strip()


def _json_values(text: str) -> Iterator[tuple[Any, int]]:
    """Balanced JSON objects (and lists of them) among fences and prose, with their lengths.

    Literal line breaks in strings are let pass: small models write them when they quote code.
    """
    decoder = json.JSONDecoder(strict=False)
    position = 0
    for _ in range(10_000):  # a bound on the work that a hostile text can cause
        starts = [at for at in (text.find("{", position), text.find("[", position)) if at >= 0]
        if not starts:
            return
        start = min(starts)
        try:
            value, end = decoder.raw_decode(text, start)
            value = encodable(value)
        except (ValueError, RecursionError):
            position = start + 1
            continue
        position = end
        if isinstance(value, dict) or (value and all(isinstance(item, dict) for item in value)):
            yield value, position - start


def encodable(value: Any) -> Any:
    """The JSON value with ? for lone surrogates: JSON can escape them, but neither a file nor a request takes them."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {encodable(key): encodable(item) for key, item in value.items()}
    return [encodable(item) for item in value] if isinstance(value, list) else value


def _no_json(text: str) -> str:
    start = text.find("{")
    if start < 0:
        return "it holds no JSON object" if text else "it is empty"
    try:
        json.JSONDecoder(strict=False).raw_decode(text, start)
    except (ValueError, RecursionError) as error:
        return f"it is not valid JSON: {error}"
    return "it holds no JSON object of the form that was asked for"


def _in_words(error: ValidationError) -> str:
    """The first faults of a validation, each with its place and the value that stands there."""
    faults = error.errors(include_url=False)
    words = []
    for fault in faults[:5]:
        place = ".".join(map(str, fault["loc"])) or "answer"
        words.append(f"{place}: {fault['msg']} (got {printable(repr(fault['input']), 80)})")
    return "; ".join(words) + (f"; and {len(faults) - 5} more" if len(faults) > 5 else "")
