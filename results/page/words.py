"""What the roles were asked and what they answered, from the record of the run: each text once."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from marlsmith.agents.asking.accounting import book
from marlsmith.agents.asking.accounting.book import Index, Line
from marlsmith.agents.asking.question import Message
from marlsmith.agents.settings import MANUAL
from marlsmith.graph.telling.speech import money
from marlsmith.results.page.parts import Allowance, Folded
from marlsmith.results.past import PastRun

FILE = book.FILE
SPEAKERS = {"system": "always told", "user": "asked", "assistant": "answered", "tool": "the tool said"}


@dataclass(frozen=True)
class Said:
    """One message. `anchor` leads to where its text stands, if that is not here."""

    who: str
    text: Folded
    anchor: str = ""


@dataclass(frozen=True)
class Exchange:
    """A question to a role with all that was said until it was answered, or was not."""

    role: str
    place: str
    whom: str
    cost: str
    said: tuple[Said, ...]
    fault: str = ""


class Record:
    """Of one run. Exchanges are taken from it by place; what nobody takes is left."""

    def __init__(self, run: PastRun, allowance: Allowance) -> None:
        self.allowance = allowance
        self.standing: dict[str, tuple[str, Folded]] = {}
        """What a role is told in the same words again and again: anchor and text, by the text."""
        self._asked: defaultdict[tuple[str, str], list[Line]] = defaultdict(list)
        for line in Index(book.read(run.path / FILE)).requests():
            self._asked[line["role"], line["place"]].append(line)

    def take(self, role: str, place: str) -> tuple[Exchange, ...]:
        return tuple(self._exchanges(self._asked.pop((role, place), [])))

    def rest(self) -> tuple[Exchange, ...]:
        return tuple(exchange for key in list(self._asked) for exchange in self.take(*key))

    def _exchanges(self, lines: Sequence[Line]) -> Iterator[Exchange]:
        """A request repeats what was said before it: only what it adds is told again."""
        heard: dict[str, list[Message]] = {}
        for line in lines:
            before, messages = heard.get(line["asked"], []), line["messages"]
            goes_on = bool(before) and messages[: len(before)] == before
            new = messages[len(before) :] if goes_on else messages
            if goes_on and new and new[0]["role"] == "assistant":  # the answer of the request before
                new = new[1:]
            heard[line["asked"]] = messages
            yield Exchange(
                role=line["role"],
                place=line["place"],
                whom=whom(line["asked"]),
                cost=_cost(line),
                said=tuple(self._said(line["role"], new, line)),
                fault=str(line["error"] or ""),
            )

    def _said(self, role: str, messages: Iterable[Message], line: Line) -> Iterator[Said]:
        for message in messages:
            who, text = str(message.get("role", "")), _text(message)
            if who == "system":
                anchor, folded = self._standing(role, text)
                yield Said(SPEAKERS[who], folded, anchor)
            elif text:
                yield Said(SPEAKERS.get(who, who), self._folded(text))
        if (hint := line.get("hint")) and line.get("rung") == "text":
            anchor, folded = self._standing(role, str(hint))
            yield Said("told besides", folded, anchor)
        if answer := _answer(line):
            yield Said("answered", self._folded(answer))

    def _standing(self, role: str, text: str) -> tuple[str, Folded]:
        if text not in self.standing:
            anchor = f"told-{len(self.standing) + 1}"
            self.standing[text] = anchor, self.allowance.text(f"what the {role} is always told", text, FILE)
        return self.standing[text]

    def _folded(self, text: str) -> Folded:
        return self.allowance.text("", text, FILE)


def whom(asked: str) -> str:
    """Who was asked, by the record's word for it."""
    if asked == MANUAL:
        return "a person"
    model = book.model_of(asked)
    return model.model if model is not None else "somebody"


def _text(message: Message) -> str:
    content, calls = message.get("content"), message.get("tool_calls")
    said = [] if content is None else [content if isinstance(content, str) else json.dumps(content, indent=1)]
    return "\n\n".join(said + [f"calls {json.dumps(calls, ensure_ascii=False, indent=1)}"] * bool(calls))


def _answer(line: Line) -> str:
    parts: list[Any] = [line.get("text"), line.get("refusal")]
    calls = [f"calls {call.get('name')} with {call.get('arguments')}" for call in line.get("tool_calls") or ()]
    return "\n\n".join(str(part) for part in [*parts, *calls] if part)


def _cost(line: Line) -> str:
    usage = book.usage_of(line)
    parts = [f"{line['seconds']:.1f} s"]
    if usage is not None:
        parts.append(f"{usage.prompt_tokens:,} tokens asked, {usage.completion_tokens:,} answered")
    if line.get("money") is not None:
        parts.append(f"money {money(line['money'])}")
    return "; ".join(parts)
