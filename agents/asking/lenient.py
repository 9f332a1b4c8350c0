"""JSON as models write it where it is not quite JSON, read where it can mean one thing only.

Trailing commas, comments, Python's words and quotes, triple quotes, literal line breaks, needless backslashes.
Never an end that is missing: what was cut off would be read as if it were all.
"""

from __future__ import annotations

import json
import re
from typing import Any

DEEPEST = 100
_BLANK = re.compile(r"(?:\s++|//[^\n]*+|#[^\n]*+)*+")
_STRING = re.compile(
    r'"""(?P<triple>(?:[^"\\]|\\.|"(?!""))*+)"""'
    r'|"(?P<double>[^"\\]*+(?:\\.[^"\\]*+)*+)"'
    r"|'(?P<single>[^'\\]*+(?:\\.[^'\\]*+)*+)'",
    re.DOTALL,
)
_NUMBER = re.compile(r"[-+]?(?:\d++(?:\.\d*+)?|\.\d++)(?:[eE][-+]?\d++)?")
_WORD = re.compile(r"[A-Za-z_]++")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_WORDS: dict[str, Any] = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "\n": ""}


class Unreadable(ValueError):
    """`at`: how far the reading came."""

    def __init__(self, at: int) -> None:
        super().__init__(f"not JSON by any means at character {at}")
        self.at = at


def lenient(text: str, start: int) -> tuple[Any, int]:
    """The value that starts there, and where it ends. Raises Unreadable. Each character is looked at once or twice."""
    return _value(text, _skip(text, start), 0)


def _value(text: str, at: int, depth: int) -> tuple[Any, int]:
    first = text[at : at + 1]
    if depth > DEEPEST:
        raise Unreadable(at)
    if first == "{":
        return _object(text, at + 1, depth + 1)
    if first == "[":
        return _list(text, at + 1, depth + 1)
    if first in ("'", '"'):
        return _string(text, at)
    if number := _NUMBER.match(text, at):
        return _number(number[0], at), number.end()
    word = _WORD.match(text, at)
    if word is None or word[0] not in _WORDS:
        raise Unreadable(at)
    return _WORDS[word[0]], word.end()


def _object(text: str, at: int, depth: int) -> tuple[dict[str, Any], int]:
    made: dict[str, Any] = {}
    at = _skip(text, at)
    while not text.startswith("}", at):
        name, at = _string(text, at)
        at = _skip(text, at)
        if not text.startswith(":", at):
            raise Unreadable(at)
        made[name], at = _value(text, _skip(text, at + 1), depth)
        at = _next(text, at, "}")
    return made, at + 1


def _list(text: str, at: int, depth: int) -> tuple[list[Any], int]:
    made: list[Any] = []
    at = _skip(text, at)
    while not text.startswith("]", at):
        value, at = _value(text, at, depth)
        made.append(value)
        at = _next(text, at, "]")
    return made, at + 1


def _next(text: str, at: int, end: str) -> int:
    """Past the comma, or at the end."""
    at = _skip(text, at)
    if text.startswith(",", at):
        return _skip(text, at + 1)
    if text.startswith(end, at):
        return at
    raise Unreadable(at)


def _skip(text: str, at: int) -> int:
    blank = _BLANK.match(text, at)
    return blank.end() if blank else at


def _string(text: str, at: int) -> tuple[str, int]:
    found = _STRING.match(text, at)
    if found is None:  # one that does not end was looked for to the end
        raise Unreadable(len(text) if text[at : at + 1] in ("'", '"') else at)
    inner = next(part for part in (found["triple"], found["double"], found["single"]) if part is not None)
    if "\\" in inner:  # and what JSON writes as two halves is made whole
        inner = _ESCAPE.sub(_unescaped, inner).encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    return inner, found.end()


def _unescaped(escape: re.Match[str]) -> str:
    said = escape[1]
    if said[0] == "u" and len(said) == 5:
        return chr(int(said[1:], 16))
    if said in "\"'\\/":
        return said
    return _ESCAPED.get(said, escape[0])


def _number(written: str, at: int) -> int | float:
    try:
        return json.loads(written) if written[0] not in "+." else float(written)
    except ValueError:  # 1. and 007, and more digits than Python takes
        try:
            return float(written)
        except ValueError:
            raise Unreadable(at) from None


def encodable(value: Any) -> Any:
    """The JSON value with ? for lone surrogates: JSON can escape them, but neither a file nor a request takes them."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {encodable(key): encodable(item) for key, item in value.items()}
    return [encodable(item) for item in value] if isinstance(value, list) else value
