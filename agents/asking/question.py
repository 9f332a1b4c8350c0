"""What goes to whoever stands behind a role, and what comes back. The words that all of `asking` shares."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel

Answer = TypeVar("Answer", bound=BaseModel)
Message = dict[str, Any]
"""As on the wire: `role` and `content`, and for tools `tool_calls` or `tool_call_id`."""
Role = Literal["generator", "critic", "validator"]
Rung = Literal["json_schema", "json_object", "tool", "text"]


@dataclass(frozen=True)
class Tool:
    """What a model may call before it answers; `parameters` is a JSON schema."""

    name: str
    description: str
    parameters: dict[str, Any]


@dataclass(frozen=True)
class ToolCall:
    """`arguments` as the model wrote them: JSON, if it did as it was told."""

    id: str
    name: str
    arguments: str


class Toolbox(Protocol):
    """Tools that one question may use, `most` calls in all. A call never raises: its fault is its result."""

    tools: tuple[Tool, ...]
    most: int

    def call(self, name: str, arguments: str) -> str: ...


@dataclass(frozen=True)
class Usage:
    """Tokens of one reply or of many, as the endpoint counts them; cached and reasoning ones are among the others."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False
    """The endpoint did not say: counted from the text's length."""

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
            self.estimated or other.estimated,
        )


@dataclass(frozen=True)
class TextForm(Generic[Answer]):
    """A second form of answer, for endpoints that cannot hold a model to JSON."""

    hint: str
    read: Callable[[str], Answer | None]


@dataclass(frozen=True)
class Question:
    """Everything that an answer may depend on. `place` says where in the run it is asked, such as s1r2a0/2.

    No two steps of a run share a place, so that equal questions of different steps are different calls. Two
    generators may be asked at one place, where the second takes over the first one's slot: what was said and spent
    is told apart by place and by who was asked.
    """

    role: Role
    place: str
    messages: tuple[Message, ...]
    schema: type[BaseModel]
    hint: str | None = None
    """Said besides where the endpoint takes plain text only."""
    tools: tuple[Tool, ...] = ()
    room: int | None = None
    """Tokens that the answer may have, where that was too few before."""
    fault: str | None = None
    """Of the answer before, where this is its repair turn; `messages` tell it at length."""

    def with_room(self, tokens: int) -> Question:
        return replace(self, room=tokens)

    def said(self, asked: str) -> dict[str, Any]:
        """What is hashed and compared: the question as plain JSON; `asked` is whoever it is put to."""
        return {
            "asked": asked,
            "role": self.role,
            "place": self.place,
            "messages": list(self.messages),
            "schema": self.schema.model_json_schema(),
            "hint": self.hint,
            "tools": [vars(tool) for tool in self.tools],
            "room": self.room,
        }

    def hash(self, asked: str) -> str:
        text = json.dumps(self.said(asked), ensure_ascii=True, sort_keys=True)
        return sha256(text.encode()).hexdigest()[:24]


NO_USAGE = Usage()


@dataclass(frozen=True)
class Reply:
    text: str
    finish_reason: str | None = "stop"
    refusal: str | None = None
    usage: Usage = NO_USAGE
    rung: Rung = "text"
    tool_calls: tuple[ToolCall, ...] = ()
    model: str | None = None
    """As the endpoint calls it."""

    @property
    def cut(self) -> bool:
        """Short of room, by whichever name: length, max_tokens, model_length, MAX_TOKENS."""
        return re.search("length|max_tokens", self.finish_reason or "", re.IGNORECASE) is not None

    @property
    def filtered(self) -> bool:
        return (self.finish_reason or "").lower() in ("content_filter", "safety", "refusal")


class Wire(Protocol):
    """Whoever a question can be put to: a model's endpoint, or a person."""

    name: str
    """As people know it: in the trace, as the author of candidates."""
    asked: str
    """What tells it from others in the record: model, address and settings."""

    def send(self, question: Question) -> Reply:
        """Blocks for a bounded time. Raises PausingError where no answer can be had, AnswerError where this
        question cannot be taken."""
        ...
