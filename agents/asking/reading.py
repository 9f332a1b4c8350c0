"""What a reply says: the JSON object among fences, thinking and prose, validated, or what is wrong with it.

All of it in time linear in the reply's length, whatever the reply is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from marlsmith.agents.asking.keys import Keys
from marlsmith.agents.asking.lenient import Unreadable, encodable, lenient
from marlsmith.agents.asking.question import Answer, Reply, TextForm
from marlsmith.schemas import printable

LONGEST = 200_000
"""Characters of an answer; ten times what the longest honest one takes."""
EFFORT = 20
"""Times its length that a text may be gone through in search of the values in it."""
VALUE, FAILURE = 2_000, 100
"""What each value, and each place where none starts, counts besides the characters looked at."""

NO_KEYS = Keys()
_INVISIBLE = dict.fromkeys(map(ord, "\ufeff\u200b\u2060\x00"))
_OPENED = re.compile(r"<(think|thinking|thought|reasoning|reflection)>", re.IGNORECASE)
_CLOSED = re.compile(r"</(?:think|thinking|thought|reasoning|reflection)>", re.IGNORECASE)
_CHANNEL_END = re.compile(r"<\|(?:return|end|start|call)\|>")
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)", re.MULTILINE)
_START = re.compile(r"[\[{]")
_DECODER = json.JSONDecoder(strict=False)
"""Literal line breaks in strings are let pass: small models write them when they quote code."""


class Fault(Exception):
    """What is wrong with an answer, in words that its author can act on."""


def read(reply: Reply, schema: type[Answer], text_form: TextForm[Answer] | None, keys: Keys = NO_KEYS) -> Answer:
    """The last JSON object that the schema takes, for drafts and examples come before the answer.

    Without the keys in it: reading may resolve a spelling of one.
    Raises Fault with what ails the largest one.
    """
    text = without_reasoning(reply.text)
    if len(text) > LONGEST:
        raise Fault(f"it has {len(text):,} characters: a whole answer takes a small part of that")
    fault, largest = "", -1
    for value, size in reversed(list(_values(text))):
        for candidate, its_size in ((value, size), *((inner, 0) for inner in _wrapped(value))):
            try:
                return schema.model_validate(keys.hidden(candidate))
            except RecursionError:
                fault = fault or "it is nested beyond measure"
            except ValidationError as error:
                if its_size > largest:
                    fault, largest = _in_words(error), its_size
    if text_form and reply.rung == "text":
        answer = text_form.read(keys.hide(text))
        if answer is not None:
            return answer
    raise Fault(fault or _no_json(text))


def without_reasoning(text: str) -> str:
    """Text after the model's thinking; some servers send the closing tag only, some models never close it."""
    text = text.translate(_INVISIBLE)
    final = text.rfind("<|channel|>final")
    if final >= 0:
        said = text[final:].partition("<|message|>")[2]
        return _CHANNEL_END.split(said, maxsplit=1)[0].strip()
    end = 0
    for closed in _CLOSED.finditer(text):
        end = closed.end()
    text = text[end:]
    opened = _OPENED.match(text.lstrip())
    return text.lstrip()[opened.end() :].strip() if opened else text.strip()


def complete(reply: Reply, schema: type[Answer], text_form: TextForm[Answer] | None) -> bool:
    """Whether a reply of which nobody says how it ended was not cut off."""
    text = without_reasoning(reply.text)
    if len(text) > LONGEST:
        return False
    closed = len(_FENCE.findall(text)) % 2 == 0 and _FENCE.search(text) is not None
    try:
        read(reply, schema, text_form if closed else None)
    except Fault:  # in all that it says there is no answer; but it says all
        return text.startswith(("{", "[")) and _at(text, 0)[1] == len(text)
    return True


def _values(text: str) -> Iterator[tuple[Any, int]]:
    """The JSON objects of a text, and the lists of such, with their lengths."""
    unquoted = _loaded(text)
    if isinstance(unquoted, str):  # JSON in a JSON string
        text = unquoted
    effort = EFFORT * len(text) + 1_000_000
    position = 0
    while effort > 0 and (found := _START.search(text, position)):
        start = found.start()
        value, end = _at(text, start)
        if end <= 0:
            # Python's decoder counts the lines up to a fault, hence the share of what comes before.
            effort -= FAILURE - end + start // EFFORT
            position = start + 1
            continue
        effort -= VALUE + end - start
        position = end
        if isinstance(value, dict) or (value and all(isinstance(item, dict) for item in value)):
            yield value, end - start


def _at(text: str, start: int) -> tuple[Any, int]:
    """The value that starts there and its end, or how many characters were looked at in vain, below zero."""
    try:
        value, end = _DECODER.raw_decode(text, start)
        return encodable(value), end
    except RecursionError:
        return None, start - len(text)
    except json.JSONDecodeError as error:
        # A string without an end was looked through to the end of the text.
        looked = len(text) - start if error.msg.startswith("Unterminated") else error.pos - start
    except ValueError:  # a number with more digits than Python takes
        return None, start - len(text)
    try:
        value, end = lenient(text, start)
        return encodable(value), end
    except Unreadable as error:
        return None, -(looked + 10 * (error.at - start))  # it is ten times as slow, at the least


def _wrapped(value: Any) -> Iterator[Any]:
    """What stands in an envelope: [answer], {"answer": answer}, {"name": .., "arguments": answer, or as JSON}."""
    if isinstance(value, list):
        yield from value if len(value) == 1 else ()
        return
    inner = list(value.values())
    if len(inner) > 1:
        inner = [value[name] for name in ("arguments", "parameters") if name in value and "name" in value]
    for part in inner:
        opened = _loaded(part) if isinstance(part, str) else part
        if isinstance(opened, dict):
            yield encodable(opened)


def _loaded(text: str) -> Any:
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None


def _no_json(text: str) -> str:
    start = text.find("{")
    if start < 0:
        return "it holds no JSON object" if text else "it is empty"
    try:
        _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError) as error:
        return f"it is not valid JSON: {error}"
    return "it holds no JSON object of the form that was asked for"


def _in_words(error: ValidationError) -> str:
    """The first faults of a validation, each with its place and the value that stands there."""
    faults = error.errors(include_url=False)
    words = []
    for fault in faults[:5]:
        place = ".".join(map(str, fault["loc"])) or "answer"
        words.append(f"{place}: {fault['msg']} (got {printable(repr(fault['input'])[:1000], 80)})")
    return "; ".join(words) + (f"; and {len(faults) - 5} more" if len(faults) > 5 else "")
