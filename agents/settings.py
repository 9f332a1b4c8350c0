"""Who plays the roles, how they are reached, and what they may cost: part of a run's settings."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from marlsmith.schemas import Record

OFFLINE, MANUAL, NOBODY = "offline", "manual", "none"
"""What may stand in a role's place instead of a model's name; `none` for the validator only."""
KEY_VARIABLE = "OPENAI_API_KEY"


class Price(Record):
    """Money for a million tokens."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cached: float | None = Field(None, ge=0, description="of input tokens that the endpoint had cached; else as input")


class ModelSettings(Record):
    """A model and how it is reached. The key itself is never part of any settings."""

    model: str
    base_url: str | None = Field(None, description="None: the hosted service")
    key_variable: str = Field(KEY_VARIABLE, description="environment variable that holds the key")
    temperature: float | None = Field(None, ge=0, le=2)
    reasoning_effort: str | None = None
    max_tokens: int | None = Field(None, ge=1, description="of an answer; None: as the endpoint has it")
    timeout: float = Field(180.0, gt=0, description="seconds of one call, whatever happens in it")
    requests_per_minute: float | None = Field(None, gt=0)
    parallel: int = Field(4, ge=1, le=64, description="calls at the same time")
    tools: bool = Field(True, description="let the generator check and probe its candidates, where the model can")
    price: Price | None = None
    extra_body: dict[str, Any] = Field(default_factory=dict, description="further fields of each request")


class Limits(Record):
    """None: without limit."""

    calls: int | None = Field(None, ge=0)
    tokens: int | None = Field(None, ge=0)
    money: float | None = Field(None, ge=0)


class Budget(Record):
    """What a run may spend in all, and each role within that."""

    run: Limits = Limits()
    generator: Limits = Limits()
    critic: Limits = Limits()
    validator: Limits = Limits()


class RoleSettings(Record):
    """Who stands behind each role: 'offline', 'manual', or a name under `models`."""

    generators: tuple[str, ...] = Field((OFFLINE,), min_length=1)
    critic: str = OFFLINE
    validator: str = OFFLINE
    models: dict[str, ModelSettings] = Field(default_factory=dict)
    budget: Budget = Budget()
    prompts: str | None = Field(None, description="directory whose templates take the place of ours")
    prompts_version: str | None = Field(None, description="of the templates that a run began with; None before")
    manual_seconds: float = Field(3600.0, gt=0, description="a person has so long for an answer")
    replay: str | None = Field(None, description="directory of a run whose record answers; nobody is asked")

    @property
    def players(self) -> tuple[str, ...]:
        """All who play, each once."""
        return tuple(dict.fromkeys((*self.generators, self.critic, self.validator)))
