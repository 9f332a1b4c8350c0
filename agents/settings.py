"""Who plays the roles, how they are reached, and what they may cost: part of a run's settings."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from marlsmith.agents.asking.question import Role
from marlsmith.schemas import Record

OFFLINE, MANUAL, NOBODY, RANDOM = "offline", "manual", "none", "random"
"""What may stand in a role's place instead of a model's name; `none` for the validator only, `random` for a generator:
it learns nothing, and is there to be compared with."""
BUILT_IN = (OFFLINE, RANDOM)
"""Players that need no model and nobody to wait for."""
KEY_VARIABLE = "OPENAI_API_KEY"
DAY = 86_400.0
MOST = 10**12
"""Of whatever is limited: what is more was no limit, but a slip."""
DEEPEST = 16
"""Tables and arrays within each other, in `extra_body`."""

_OURS = {
    "model": "model",
    "temperature": "temperature",
    "reasoning_effort": "reasoning_effort",
    "max_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "max_output_tokens": "max_tokens",
    "tools": "tools = true or false",
    "tool_choice": "tools = true or false",
    "parallel_tool_calls": "tools = true or false",
    "functions": "tools = true or false",
    "function_call": "tools = true or false",
}
"""Fields of a request that a setting stands for."""
_NOBODYS = ("messages", "response_format", "stream", "stream_options", "n", "best_of")
"""Fields of a request that are written by us, or that would bring another reply than is read."""


def _plain_fields(body: dict[str, Any]) -> dict[str, Any]:
    """What goes out with each request must be JSON, and must not undo what is asked."""
    for name in body:
        if name in _OURS:
            raise ValueError(f"{name} has a setting of its own, write {_OURS[name]}")
        if name in _NOBODYS:
            raise ValueError(f"{name} is written with each question, leave it out")
    _require_plain(body, DEEPEST)
    return body


def _require_plain(value: Any, deep: int) -> None:
    if deep < 0:
        raise ValueError("it nests too deep")
    if isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            _require_plain(item, deep - 1)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("it holds a number that JSON cannot write")
    elif isinstance(value, int) and abs(value) >= 2**63:
        raise ValueError("it holds a number of too many digits")
    elif not isinstance(value, (str, int, float)):
        raise ValueError(f"it holds a {type(value).__name__}, and JSON has none: write it as a text")


class Price(Record):
    """Money for a million tokens."""

    input: float = Field(ge=0, le=MOST)
    output: float = Field(ge=0, le=MOST)
    cached: float | None = Field(
        None, ge=0, le=MOST, description="of input tokens that the endpoint had cached; else as input"
    )


class ModelSettings(Record):
    """A model and how it is reached. The key itself is never part of any settings."""

    model: str
    base_url: str | None = Field(None, description="None: the hosted service")
    key_variable: str = Field(KEY_VARIABLE, description="environment variable that holds the key")
    temperature: float | None = Field(None, ge=0, le=2)
    reasoning_effort: str | None = None
    max_tokens: int | None = Field(None, ge=1, le=MOST, description="of an answer; None: as the endpoint has it")
    timeout: float = Field(180.0, gt=0, le=DAY, description="seconds of one call, whatever happens in it")
    requests_per_minute: float | None = Field(None, ge=0.1, le=100_000)
    parallel: int = Field(4, ge=1, le=64, description="calls at the same time")
    tools: bool = Field(True, description="let the generator check and probe its candidates, where the model can")
    price: Price | None = None
    extra_body: Annotated[dict[str, Any], AfterValidator(_plain_fields)] = Field(
        default_factory=dict, description="further fields of each request"
    )


class Limits(Record):
    """None: without limit."""

    calls: int | None = Field(None, ge=0, le=MOST)
    tokens: int | None = Field(None, ge=0, le=MOST)
    money: float | None = Field(None, ge=0, le=MOST)


class Budget(Record):
    """What a run may spend in all, and each role within that."""

    run: Limits = Limits()
    generator: Limits = Limits()
    critic: Limits = Limits()
    validator: Limits = Limits()


ManualSeconds = Annotated[float, Field(gt=0, le=30 * DAY)]


class RoleSettings(Record):
    """Who stands behind each role: 'offline', 'manual', or a name under `models`."""

    generators: tuple[str, ...] = Field((OFFLINE,), min_length=1)
    critic: str = OFFLINE
    validator: str = OFFLINE
    models: dict[str, ModelSettings] = Field(default_factory=dict)
    budget: Budget = Budget()
    prompts: str | None = Field(None, description="directory whose templates take the place of ours")
    prompts_version: str | None = Field(None, description="of the templates that a run began with; None before")
    manual_seconds: ManualSeconds = Field(3600.0, description="a person has so long for an answer")
    replay: str | None = Field(None, description="directory of a run whose record answers; nobody is asked")

    @property
    def players(self) -> tuple[str, ...]:
        """All who play, each once."""
        return tuple(dict.fromkeys(name for _, name in self.cast))

    @property
    def cast(self) -> tuple[tuple[Role, str], ...]:
        """Role and player, the roles in their order."""
        generators: list[tuple[Role, str]] = [("generator", name) for name in self.generators]
        return (*generators, ("critic", self.critic), ("validator", self.validator))
