"""How an endpoint wants to be asked: which response format, which fields, which names for them.

An endpoint is asked in the fullest dialect first. What it refuses is left out; what then brought a reply is kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Literal

from marlsmith.agents.asking.question import Message, Question, Rung
from marlsmith.agents.settings import ModelSettings

LADDER: tuple[Rung, ...] = ("json_schema", "json_object", "tool", "text")
ANSWER = "answer"
"""The tool whose arguments are the answer."""
NAMES: tuple[LimitName, LimitName] = ("max_completion_tokens", "max_tokens")
"""The hosted service wants the new name; several local servers know only the old one."""

LimitName = Literal["max_completion_tokens", "max_tokens"]

_TOO_LONG = re.compile(
    r"context.?(length|window|size)|maximum context|(prompt|input|request)( is|s are)? too (long|large)|too many tokens"
)
_ANSWER_ROOM = re.compile(r"max_(completion_)?tokens|in the completion|(output|completion) tokens")
_AT_MOST = re.compile(r"(?:at most|maximum (?:value )?(?:of|is)|less than or equal to|<=) (\d{2,7})")
_UNKNOWN = re.compile(r"unsupported|unrecogni[sz]ed|unknown|unexpected|not supported|not permitted|instead")
_FILTERED = re.compile(r"content.?(filter|policy|management)|moderation|safety")
_FORM = re.compile(r"\btools?\b|tool_|response_format|json_schema|json_object|grammar")


@dataclass(frozen=True)
class Dialect:
    """`without`: settings that are left out. `limit`: the other name for the answer's room, where the usual is not
    taken. `most`: tokens that an answer may be given. `roomless`: no limit for this question."""

    rung: int = 0
    tools: bool = True
    without: frozenset[str] = frozenset()
    other_limit: bool = False
    most: int | None = None
    roomless: bool = False

    def offers(self, question: Question) -> bool:
        """Tools go out without a response format: many endpoints refuse both together."""
        return bool(question.tools) and self.tools

    def rung_for(self, question: Question) -> Rung:
        return "text" if self.offers(question) else LADDER[self.rung]

    def body(self, question: Question, settings: ModelSettings) -> dict[str, Any]:
        """The fields of a request besides model and messages."""
        body = dict(settings.extra_body)
        for name in ("temperature", "reasoning_effort"):
            value = getattr(settings, name)
            if value is not None and name not in self.without:
                body[name] = value
        room = self._room(question, settings)
        if room is not None:
            body[self._limit(settings)] = room
        if self.offers(question):
            body["tools"] = [_function(vars(tool)) for tool in question.tools]
            return body
        schema = question.schema.model_json_schema()
        rung = LADDER[self.rung]
        if rung == "json_schema":
            # Not strict: the strict dialect knows neither defaults nor discriminated unions.
            form = {"name": question.schema.__name__, "schema": schema, "strict": False}
            body["response_format"] = {"type": "json_schema", "json_schema": form}
        elif rung == "json_object":
            body["response_format"] = {"type": "json_object"}
        elif rung == "tool":
            body["tools"] = [_function({"name": ANSWER, "description": "Give the answer.", "parameters": schema})]
            body["tool_choice"] = {"type": "function", "function": {"name": ANSWER}}
        return body

    def messages(self, question: Question) -> list[Message]:
        """With the hint where only plain text is taken, and tools told in words where none are offered."""
        messages = list(question.messages)
        if not self.offers(question):
            messages = _told(messages)
            if LADDER[self.rung] == "text" and question.hint:
                first, *rest = messages
                messages = [{**first, "content": f"{first['content']}\n\n{question.hint}"}, *rest]
        return messages

    def after(self, words: str, question: Question, settings: ModelSettings) -> Dialect | None:
        """What to try once a request in this dialect was refused with these words (lower case); None: nothing.

        Each refusal takes something away that does not come back, so that a question meets ten at the most.
        """
        body = self.body(question, settings)
        for name in ("temperature", "reasoning_effort"):
            if name in body and name in words:
                return replace(self, without=self.without | {name})
        limit = self._limit(settings)
        if limit in body and _ANSWER_ROOM.search(words):
            if not self.other_limit and _UNKNOWN.search(words):
                return replace(self, other_limit=True)
            most = _AT_MOST.search(words)
            if most and self.most is None and int(most[1]) < body[limit] and not _TOO_LONG.search(words):
                return replace(self, most=int(most[1]))
            return replace(self, roomless=True)
        if _TOO_LONG.search(words) or _FILTERED.search(words):
            return None
        if self.offers(question):
            return replace(self, tools=False)
        return replace(self, rung=self.rung + 1) if self.rung + 1 < len(LADDER) else None

    def names_its_form(self, words: str, question: Question) -> bool:
        """Whether a refusal with any status speaks of the tools or the response format that were sent."""
        return bool((self.offers(question) or LADDER[self.rung] != "text") and _FORM.search(words))

    def joined(self, other: Dialect) -> Dialect:
        """What either has learned."""
        most = [known for known in (self.most, other.most) if known is not None]
        return Dialect(
            rung=max(self.rung, other.rung),
            tools=self.tools and other.tools,
            without=self.without | other.without,
            other_limit=self.other_limit or other.other_limit,
            most=min(most, default=None),
            roomless=self.roomless,
        )

    def _limit(self, settings: ModelSettings) -> LimitName:
        return NAMES[(settings.base_url is not None) != self.other_limit]

    def _room(self, question: Question, settings: ModelSettings) -> int | None:
        room = question.room or settings.max_tokens
        if room is None or self.roomless:
            return None
        return min(room, self.most) if self.most else room


def about_the_question(words: str) -> bool:
    """Whether the refusal lies in what is asked, so that no other dialect would help."""
    return bool(_TOO_LONG.search(words) or _FILTERED.search(words))


def _function(tool: dict[str, Any]) -> dict[str, Any]:
    return {"type": "function", "function": dict(tool)}


def _told(messages: list[Message]) -> list[Message]:
    """An exchange with tools as plain turns, which every endpoint takes also where it is offered no tools."""
    told: list[Message] = []
    for message in messages:
        calls = message.get("tool_calls")
        if calls:
            said = [f"I call {call['function']['name']} with {call['function']['arguments']}" for call in calls]
            told.append({"role": "assistant", "content": "\n".join(filter(None, [message.get("content"), *said]))})
        elif message["role"] in ("tool", "user") and told and told[-1]["role"] == "user":
            told[-1] = {"role": "user", "content": f"{told[-1]['content']}\n\n{_turn(message)}"}
        else:
            told.append({"role": "user", "content": _turn(message)} if message["role"] == "tool" else message)
    return told


def _turn(message: Message) -> str:
    content: str = message["content"]
    return f"The call gave:\n{content}" if message["role"] == "tool" else content
