"""llm.jsonl: everything that was asked and answered in a run, a line each, and how it is found again.

Four kinds of line. `begun`: a request goes out; without the next kind after it, a kill came between. A request, with
its reply or its error. `unanswered`: no reply could be had, and the caller was told so. `discarded`: what was said at
a place so far was of no use, a resume asks anew. And of any of them, in the run directory of a replay, a copy that
says `replayed`.
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

from pydantic import ValidationError

from marlsmith.agents.asking.accounting.lines import require
from marlsmith.agents.asking.address import Key
from marlsmith.agents.asking.keys import Keys
from marlsmith.agents.asking.question import Message, Question, Reply, Rung, ToolCall, Usage
from marlsmith.agents.settings import ModelSettings
from marlsmith.schemas import UserError

FILE = "llm.jsonl"
Line = dict[str, Any]
OURS = {"time", "hash", "place", "role", "asked", "rung", "schema", "discarded"}
"""Fields of a line that hold nobody else's words."""


class Book:
    """Of one run directory; None keeps nothing. One process writes it at a time: the run is locked."""

    def __init__(self, file: Path | None, keys: Sequence[Key] = ()) -> None:
        self.file = file
        self._keys = Keys(keys)
        self._lock = threading.Lock()

    def open(self) -> list[Line]:
        """What it holds, without a last line that a kill has cut: more is to be appended."""
        if self.file is None:
            return []
        lines = list(read(self.file))
        if self.file.exists():
            with _writing(self.file), open(self.file, "rb+") as file:
                last = file.read().rpartition(b"\n")[2]
                if _is_cut(last):
                    file.truncate(file.tell() - len(last))
                else:
                    file.write(b"\n")
        return lines

    def write(self, lines: Iterable[Line]) -> None:
        """In one write, so that neither parallel roles nor a kill can tear an earlier line."""
        if self.file is None:
            return
        text = "".join(json.dumps(self._hidden(line), ensure_ascii=False) + "\n" for line in lines)
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

    def _hidden(self, line: Line) -> Line:
        """What is ours stays: a key such as "generator" would make the line unreadable."""
        return {name: value if name in OURS else self.hidden(value) for name, value in line.items()}

    def hidden(self, value: Any) -> Any:
        """Without the keys, wherever in it they stand."""
        return self._keys.hidden(value)


def read(file: Path) -> Iterator[Line]:
    """A last line that is not whole was cut by a kill, or is being written. Blank ones may be there."""
    if not file.exists():
        return
    if not file.is_file():  # to open a pipe may take for ever
        raise UserError(f"{file} is no file: remove it")
    try:
        lines = file.read_bytes().split(b"\n")
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror}): make it readable") from None
    if _is_cut(lines[-1]):
        lines.pop()
    for number, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        try:
            line = json.loads(text)
            require(line)
        except RecursionError:
            raise UserError(f"{file} is damaged in line {number} (it nests too deep): delete that line") from None
        except ValueError as error:
            raise UserError(f"{file} is damaged in line {number} ({error}): delete that line") from None
        yield line


def _is_cut(last: bytes) -> bool:
    """What follows the last newline is no whole line: nothing, or the beginning of one."""
    try:
        json.loads(last)
    except RecursionError:  # no beginning of a line of ours
        return False
    except ValueError:
        return True
    return False


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


def begun_line(question: Question, asked: str, tokens: int, money: float | None) -> Line:
    """Short, as each request has one. `tokens`: what it takes at least, and `money` costs, if it never ends."""
    return {
        "time": _now(),
        "hash": question.hash(asked),
        "asked": asked,
        "role": question.role,
        "place": question.place,
        "begun": tokens,
        "money": money,
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


def discarded_line(place: str, asked: str) -> Line:
    return {"time": _now(), "place": place, "asked": asked, "discarded": True}


def is_request(line: Line) -> bool:
    return "messages" in line


def failed(line: Line) -> bool:
    """Of a request, or one that has only begun."""
    return "begun" in line or line["error"] is not None


def usage_of(line: Line) -> Usage | None:
    if "begun" in line:
        return Usage(line["begun"], estimated=True)
    usage = line.get("usage")
    return Usage(**usage) if usage is not None else None


def model_of(asked: str) -> ModelSettings | None:
    """Who was asked, with the settings of then; None where it was a person, or nobody can tell."""
    try:
        return ModelSettings.model_validate_json(asked)
    except ValidationError:
        return None


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
    """The lines of a book, by place and by question; of those that say `begun`, the ones that never ended."""

    def __init__(self, lines: Iterable[Line] = ()) -> None:
        self.at: defaultdict[str, list[Line]] = defaultdict(list)
        self._usable: dict[tuple[str, str], tuple[str, Reply]] = {}
        self._last: dict[tuple[str, str], Reply | Line] = {}
        self._under_way: defaultdict[tuple[str, str], list[Line]] = defaultdict(list)
        for line in lines:
            self._add(line)

    def usable(self, place: str, hash: str) -> Reply | None:
        """The last reply, unless it was discarded."""
        asked_and_reply = self._usable.get((place, hash))
        return asked_and_reply[1] if asked_and_reply else None

    def last(self, place: str, hash: str) -> Reply | Line | None:
        """What a question came to in the end, of use or not: a reply, or the line that says that there was none."""
        return self._last.get((place, hash))

    def discard(self, place: str, asked: str) -> None:
        """What was said there by whom it was asked."""
        self._usable = {key: known for key, known in self._usable.items() if (key[0], known[0]) != (place, asked)}

    def exchange(
        self, place: str, asked: str, before: Sequence[Message], exchange: Sequence[Message]
    ) -> Sequence[Message] | None:
        """The same calls of tools, after the same messages, with what the tools said then."""
        start, end = len(before), len(before) + len(exchange)
        for line in reversed(self.at.get(place, ())):
            if is_request(line) and line["asked"] == asked and line["messages"][:start] == before:
                found: list[Message] = line["messages"][start:end]
                if _without_results(found) == _without_results(exchange):
                    return found
        return None

    def lines(self) -> Iterator[Line]:
        return (line for lines in self.at.values() for line in lines)

    def requests(self) -> Iterator[Line]:
        return filter(is_request, self.lines())

    def _add(self, line: Line) -> None:
        place = line["place"]
        # In copies nothing ends: of what has begun, they hold only what never ended.
        ends = is_request(line) and not line.get("replayed")
        if ends and (begun := self._under_way[place, line["hash"]]):
            self.at[place].remove(begun.pop())
        self.at[place].append(line)
        if "begun" in line:
            self._under_way[place, line["hash"]].append(line)
        elif line.get("discarded"):
            self.discard(place, line["asked"])
        elif "unanswered" in line:
            self._last[place, line["hash"]] = line
            self._usable.pop((place, line["hash"]), None)
        elif (reply := answer_of(line)) is not None:
            self._last[place, line["hash"]] = reply
            self._usable[place, line["hash"]] = line["asked"], reply


def _without_results(exchange: Sequence[Message]) -> list[Message]:
    return [{**message, "content": None} if message["role"] == "tool" else message for message in exchange]


@contextmanager
def _writing(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{file} cannot be written ({error.strerror}): make it writable, or make room on its disk"
        ) from None
