"""What a line of llm.jsonl must be, to be counted, used again or shown: somebody may have written in it."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from marlsmith.agents.asking.question import Role, Rung
from marlsmith.schemas import printable

Count = Annotated[int, Field(ge=0, le=10**12)]
Money = Annotated[float, Field(ge=0, le=1e30)]


class _Strict(BaseModel):
    """Nothing unknown: it would be copied by a replay, however deep it nests."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class _Line(_Strict):
    place: str
    time: str | None = None
    replayed: bool = False


class _Function(_Strict):
    name: str
    arguments: str


class _MessageCall(_Strict):
    id: str
    type: str
    function: _Function


class _Message(_Strict):
    role: str
    content: str | None
    tool_calls: list[_MessageCall] | None = None
    tool_call_id: str | None = None


class _ToolCall(_Strict):
    id: str
    name: str
    arguments: str


class _Usage(_Strict):
    prompt_tokens: Count = 0
    completion_tokens: Count = 0
    cached_tokens: Count = 0
    reasoning_tokens: Count = 0
    estimated: bool = False


class _Request(_Line):
    hash: str
    asked: str
    role: Role
    messages: list[_Message]
    schema_: str = Field(alias="schema")
    hint: str | None
    tools: list[str]
    room: Count | None
    text: str | None
    finish_reason: str | None
    refusal: str | None
    tool_calls: list[_ToolCall] | None
    model: str | None
    rung: Rung
    usage: _Usage | None
    money: Money | None
    seconds: Annotated[float, Field(ge=0)]
    error: str | None

    @model_validator(mode="after")
    def _came_to_something(self) -> Self:
        if self.text is None and self.error is None:
            raise ValueError("there is neither a text nor an error")
        return self


class _Begun(_Line):
    hash: str
    asked: str
    role: Role
    begun: Count
    money: Money | None


class _Unanswered(_Line):
    hash: str
    role: Role
    unanswered: str
    error: str


class _Discarded(_Line):
    asked: str
    discarded: Literal[True]


_KINDS: dict[str, type[_Line]] = {
    "messages": _Request,
    "begun": _Begun,
    "unanswered": _Unanswered,
    "discarded": _Discarded,
}


def require(line: object) -> None:
    """Raises ValueError that says what is wrong with it."""
    if not isinstance(line, dict):
        raise ValueError("it is no object")
    kind = next((kind for name, kind in _KINDS.items() if name in line), None)
    if kind is None:
        raise ValueError("it is of no known kind")
    try:
        kind.model_validate(line)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        place = printable(".".join(map(str, fault["loc"])), 80)
        raise ValueError(": ".join(filter(None, (place, printable(fault["msg"], 100))))) from None
