"""A run again from its record alone: nobody is asked, and what is not recorded is refused."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from marlsmith.agents.asking.accounting import book
from marlsmith.agents.asking.accounting.book import Book, Index, Line
from marlsmith.agents.asking.question import Message, Question, Reply
from marlsmith.schemas import AnswerError, BudgetError, EndpointError, UserError

SHOWN = 80
"""Lines of a difference, and no more."""
COMPARED = 200
"""Recorded questions that are looked at for the nearest one."""
WIDTH = 300

_KINDS: dict[str, type[Exception]] = {"AnswerError": AnswerError, "BudgetError": BudgetError}


class ReplayMiss(UserError):
    """`details`: how the question differs from the nearest one that is recorded, a line each."""

    def __init__(self, sentence: str, details: tuple[str, ...]) -> None:
        super().__init__(sentence)
        self.details = details


class Recording:
    """The record of another run, from which this one is answered."""

    def __init__(self, run: Path) -> None:
        self._run = run
        self._index = Index(book.read(run / book.FILE))

    def reply(self, question: Question, asked: str, own: Book) -> Reply:
        """As the run went on in the end: with a reply, with one that was of no use, or with none.

        Raises ReplayMiss where this was not asked there.
        """
        found = self._index.last(question.place, question.hash(asked))
        if found is None:
            raise self.miss(question, asked, own)
        if isinstance(found, Reply):
            return found
        raise _KINDS.get(found["unanswered"], EndpointError)(found["error"])

    def exchange(
        self, place: str, asked: str, before: Sequence[Message], exchange: Sequence[Message]
    ) -> Sequence[Message] | None:
        return self._index.exchange(place, asked, before, exchange)

    def lines(self, place: str, known: int) -> list[Line]:
        """All that was asked at a place, but for the first ones, which are known."""
        return [{**line, "replayed": True} for line in self._index.at.get(place, ())[known:]]

    def miss(self, question: Question, asked: str, own: Book) -> ReplayMiss:
        """`own` is the record of the replay itself."""
        line = own.hidden(book.question_line(question, asked))
        nearest = self._nearest(line)
        if nearest is None:
            how = f"the {question.role} was asked nothing there"
        elif nearest["place"] == question.place:
            how = "the nearest question there differs as shown"
        else:
            how = "nothing was asked there, the nearest question elsewhere differs as shown"
        again = f"undo what has changed and `marlsmith resume {own.file.parent}`, or " if own.file else ""
        return ReplayMiss(
            f"the {question.role}'s question at {question.place} is not in the record of {self._run} ({how}): "
            f"{again}start a new run without --replay",
            tuple(_difference(nearest, line)) if nearest else (),
        )

    def _nearest(self, line: Line) -> Line | None:
        """Of the same place where there is one, else of the same role."""
        recorded = list(self._index.requests())
        same = [other for other in recorded if other["place"] == line["place"]]
        pool = same or [other for other in recorded if other["role"] == line["role"]]
        words = _words(line)
        matcher = difflib.SequenceMatcher(b=words, autojunk=False)

        def likeness(other: Line) -> float:
            matcher.set_seq1(_words(other))
            return matcher.ratio()

        return max(pool[-COMPARED:], key=likeness, default=None)


def _difference(recorded: Line, asked: Line) -> list[str]:
    found = list(difflib.unified_diff(_words(recorded), _words(asked), "recorded", "asked", lineterm=""))
    left = len(found) - SHOWN
    return [_printable(line) for line in found[:SHOWN]] + ([f"... {left} lines more"] if left > 0 else [])


def _words(line: Line) -> list[str]:
    """A question for people, in lines."""
    said = [f"{name}: {line[name]}" for name in ("role", "place", "schema", "hint", "tools", "room")]
    for message in line["messages"]:
        said += [f"[{message['role']}]", *_content(message)]
    return [*_asked(line["asked"]), *said]


def _asked(asked: str) -> list[str]:
    try:
        settings = json.loads(asked)
    except ValueError:
        return [f"asked: {asked}"]
    return [f"{name}: {value}" for name, value in settings.items()] if isinstance(settings, dict) else [asked]


def _content(message: Mapping[str, Any]) -> list[str]:
    content = message.get("content")
    rest = {name: value for name, value in message.items() if name not in ("role", "content")}
    lines = content.splitlines() if isinstance(content, str) else [json.dumps(content)]
    return lines + ([json.dumps(rest, sort_keys=True)] if rest else [])


def _printable(line: str) -> str:
    clean = "".join(c if c.isprintable() else " " for c in line)
    return clean if len(clean) <= WIDTH else clean[: WIDTH - 1] + "…"
