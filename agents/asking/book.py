"""llm.jsonl: everything that was asked and answered in a run, a line each, and how it is found again.

Four kinds of line. A request, with its reply or its error. `unanswered`: no reply could be had, and the caller was
told so. `discarded`: what was said at a place so far was of no use, a resume asks anew. And of any of them, in
the run directory of a replay, a copy that says `replayed`.
"""

from __future__ import annotations

import errno
import json
import os
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from marlsmith.agents.asking.address import Key
from marlsmith.agents.asking.question import Question, Reply, Rung, ToolCall, Usage
from marlsmith.schemas import UserError

FILE = "llm.jsonl"
Line = dict[str, Any]


class Book:
    """Of one run directory; None keeps nothing. One process writes it at a time: the run is locked."""

    def __init__(self, file: Path | None, keys: Sequence[Key] = ()) -> None:
        self.file = file
        self._keys = keys
        self._lock = threading.Lock()

    def open(self) -> list[Line]:
        """What it holds, without a last line that a kill has cut: more is to be appended."""
        if self.file is None or not self.file.exists():
            return []
        with _writing(self.file), open(self.file, "rb+") as file:
            file.truncate(file.read().rfind(b"\n") + 1)
        return list(read(self.file))

    def write(self, lines: Iterable[Line]) -> None:
        """In one write, so that neither parallel roles nor a kill can tear an earlier line."""
        if self.file is None:
            return
        text = "".join(json.dumps(self.hidden(line), ensure_ascii=False) + "\n" for line in lines)
        data = text.encode("utf-8", "backslashreplace")
        with self._lock, _writing(self.file):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                before = os.fstat(descriptor).st_size
                if os.write(descriptor, data) < len(data):
                    os.ftruncate(descriptor, before)
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            finally:
                os.close(descriptor)

    def hidden(self, value: Any) -> Any:
        """Without the keys, wherever in it they stand."""
        if isinstance(value, str):
            for key in self._keys:
                value = key.hide(value)
            return value
        if isinstance(value, dict):
            return {self.hidden(name): self.hidden(item) for name, item in value.items()}
        return [self.hidden(item) for item in value] if isinstance(value, (list, tuple)) else value


def read(file: Path) -> Iterator[Line]:
    """What follows the last newline was cut by a kill, or is being written."""
    if not file.exists():
        return
    try:
        lines = file.read_bytes().split(b"\n")[:-1]
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror}): make it readable") from None
    for number, text in enumerate(lines, start=1):
        try:
            line = json.loads(text)
            _require_whole(line)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{file} is damaged in line {number}: delete that line") from error
        yield line


def _require_whole(line: Line) -> None:
    """Raises an error of its own where something is missing that a resume or a replay goes by."""
    needed = {"place"}
    if is_request(line):
        needed |= {"role", "hash", "asked", "usage", "money", "error"}
    elif "unanswered" in line:
        needed |= {"role", "hash", "error"}
    if missing := needed - line.keys():
        raise KeyError(*missing)
    usage_of(line)
    answer_of(line)


# ---------------------------------------------------------------- lines


def question_line(question: Question, asked: str) -> Line:
    """What is compared by people: schema and tools by name and hash, for they are long and always the same."""
    schema = question.schema
    return {
        "asked": asked,
        "role": question.role,
        "place": question.place,
        "messages": list(question.messages),
        "schema": f"{schema.__name__} {_digest(schema.model_json_schema())}",
        "hint": question.hint,
        "tools": [f"{tool.name} {_digest(vars(tool))}" for tool in question.tools],
        "room": question.room,
    }


def request_line(
    question: Question,
    asked: str,
    rung: Rung,
    reply: Reply | None,
    error: str | None,
    usage: Usage | None,
    money: float | None,
    seconds: float,
) -> Line:
    """`usage` is None for a person's answer, which is nothing that was paid for."""
    answer: Line = {field.name: None for field in fields(Reply)}
    if reply is not None:
        answer = {**vars(reply), "tool_calls": [vars(call) for call in reply.tool_calls]}
    return {
        "time": _now(),
        "hash": question.hash(asked),
        **question_line(question, asked),
        **answer,
        "rung": reply.rung if reply else rung,
        "usage": asdict(usage) if usage else None,
        "money": money,
        "seconds": round(seconds, 3),
        "error": error,
    }


def unanswered_line(question: Question, asked: str, error: Exception) -> Line:
    return {
        "time": _now(),
        "hash": question.hash(asked),
        "role": question.role,
        "place": question.place,
        "unanswered": type(error).__name__,
        "error": str(error),
    }


def discarded_line(place: str) -> Line:
    return {"time": _now(), "place": place, "discarded": True}


def is_request(line: Line) -> bool:
    return "messages" in line


def usage_of(line: Line) -> Usage | None:
    usage = line.get("usage")
    return Usage(**usage) if usage is not None else None


def answer_of(line: Line) -> Reply | None:
    if not is_request(line) or line["error"] is not None:
        return None
    answer = {field.name: line[field.name] for field in fields(Reply) if field.name in line}
    calls = tuple(ToolCall(**call) for call in line.get("tool_calls") or ())
    return Reply(**{**answer, "tool_calls": calls, "usage": usage_of(line) or Usage()})


def _digest(value: Mapping[str, Any]) -> str:
    return sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


# ---------------------------------------------------------------- finding them again


class Index:
    """The lines of a book, by place and by question."""

    def __init__(self, lines: Iterable[Line] = ()) -> None:
        self.at: defaultdict[str, list[Line]] = defaultdict(list)
        self._usable: dict[tuple[str, str], Reply] = {}
        self._last: dict[tuple[str, str], Reply | Line] = {}
        for line in lines:
            self._add(line)

    def usable(self, place: str, hash: str) -> Reply | None:
        """The last reply, unless it was discarded."""
        return self._usable.get((place, hash))

    def last(self, place: str, hash: str) -> Reply | Line | None:
        """What a question came to in the end, of use or not: a reply, or the line that says that there was none."""
        return self._last.get((place, hash))

    def discard(self, place: str) -> None:
        self._usable = {key: reply for key, reply in self._usable.items() if key[0] != place}

    def requests(self) -> Iterator[Line]:
        return (line for lines in self.at.values() for line in lines if is_request(line))

    def _add(self, line: Line) -> None:
        place = line["place"]
        self.at[place].append(line)
        if line.get("discarded"):
            self.discard(place)
        elif "unanswered" in line:
            self._last[place, line["hash"]] = line
            self._usable.pop((place, line["hash"]), None)
        elif (reply := answer_of(line)) is not None:
            self._last[place, line["hash"]] = self._usable[place, line["hash"]] = reply


@contextmanager
def _writing(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{file} cannot be written ({error.strerror}): make it writable, or make room on its disk"
        ) from None
