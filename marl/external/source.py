"""Which environment a task is made of: a reference like `pettingzoo:module:factory?key=value`, or a TOML card."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from marlsmith.schemas import Entity, Record

RESERVED = frozenset(
    {"obs", "prev_obs", "action", "reward", "time", "training_progress", "gamma", "prev", "score", "global_state"}
)


PROBE_SECONDS = 30.0
"""For a first look at an environment, unless a step may take longer."""


class Score(Record):
    """The task's metric: a number per step and environment, reduced over the episode."""

    from_: str = Field("reward", alias="from", description="reward, info:KEY, or package.module:function")
    reduce: Literal["sum", "mean", "last", "max"] = "sum"
    name: str | None = None
    unit: str = "per agent and episode"
    meaning: str = "undiscounted sum of the native reward"

    @property
    def metric(self) -> str:
        if self.name is not None:
            return self.name
        return "return" if self.from_ == "reward" else self.from_.rpartition(":")[2]


class SourceField(Record):
    """A state field, cut from each agent's observation, from one agent's, from an info or from the global state."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    columns: tuple[int, int] | None = Field(None, description="[start, stop) of an agent's observation")
    state: tuple[int, int] | None = Field(None, description="[start, stop) of the environment's own global state")
    info: str | None = None
    agent: int | None = Field(None, ge=0, description="of whose observation; without it, every agent's own")
    shape: tuple[int, ...] | None = Field(None, description="of the numbers, where they are more than a row")
    unit: str = ""
    meaning: str = ""
    kind: Literal["velocity", "position", "offset", "message", "goal", "other"] = "other"
    of: str = "self"

    @model_validator(mode="after")
    def _one_origin(self) -> SourceField:
        if sum(origin is not None for origin in (self.columns, self.state, self.info)) != 1:
            raise ValueError(f"field {self.name!r} needs exactly one of columns, state and info")
        if self.agent is not None and self.columns is None:
            raise ValueError(f"field {self.name!r}: only columns are of an agent")
        if self.name in RESERVED:
            raise ValueError(f"{self.name!r} is the name of something else in the state: choose another")
        for start, stop in filter(None, (self.columns, self.state)):
            if not 0 <= start < stop:
                raise ValueError(f"field {self.name!r}: [{start}, {stop}] is no range of columns")
            if self.shape is not None and math.prod(self.shape) != stop - start:
                raise ValueError(f"field {self.name!r}: {stop - start} numbers do not fill {list(self.shape)}")
        return self


class Source(Record):
    """All that is said of an environment: by the reference alone, or by a TOML task card with these keys."""

    environment: str
    options: dict[str, Any] = Field(default_factory=dict, description="keyword arguments of the factory")
    name: str
    description: str | None = None
    sparsity: str | None = None
    horizon: int | None = Field(None, ge=1)
    step_seconds: float = Field(20.0, gt=0, le=600, description="without an answer, an environment counts as hung")
    actions: tuple[str, ...] | None = Field(None, description="what they mean, by index or component")
    score: Score = Score()
    fields: tuple[SourceField, ...] = ()
    entities: tuple[Entity, ...] = ()
    target: str | None = None
    goal: str | None = None
    reach: float | None = Field(None, gt=0)
    collide: float | None = Field(None, gt=0)
    paths: tuple[str, ...] = Field((), description="where modules are found besides the installed ones")

    @field_validator("environment")
    @classmethod
    def _named(cls, name: str) -> str:
        kind, *parts = name.split(":")
        if kind == "pettingzoo" and (len(parts) != 2 or not all(parts)):
            raise ValueError(
                f"{name!r} names no factory: write pettingzoo:package.module:factory, "
                "for instance pettingzoo:pettingzoo.sisl.multiwalker_v9:parallel_env"
            )
        if kind == "gymnasium" and not all(parts):
            raise ValueError(f"{name!r} names no environment: write gymnasium:PACKAGE:ID")
        if kind not in ("pettingzoo", "gymnasium") or not parts:
            raise ValueError(f"{name!r} is no environment: write pettingzoo:MODULE:FACTORY or gymnasium:MODULE:ID")
        return name

    @model_validator(mode="after")
    def _places(self) -> Source:
        """An offset is where a body is from an agent, another number for each; an entity's place is one for all."""
        offsets = {field.name for field in self.fields if field.kind == "offset"}
        for entity in self.entities:
            if entity.position in offsets:
                raise ValueError(
                    f"entity {entity.name!r} has the field {entity.position!r} of kind offset as its position: "
                    "name a field of kind position, in the coordinates of the world"
                )
        return self

    @property
    def probe_seconds(self) -> float:
        """For a first look; a reset or a step may take as long as it may in training."""
        return max(PROBE_SECONDS, self.step_seconds)

    @property
    def infos(self) -> tuple[str, ...]:
        """Keys of the infos that are wanted after every step."""
        score = (self.score.from_.removeprefix("info:"),) if self.score.from_.startswith("info:") else ()
        fields = tuple(field.info for field in self.fields if field.info is not None)
        return tuple(dict.fromkeys(score + fields))


class Found(Record):
    """What a look at an environment tells."""

    layout: dict[str, Any]
    names: tuple[str, ...]
    actions: tuple[tuple[str, ...], ...] = Field(description="meanings by agent")
    observations: tuple[int, ...] = Field(description="columns by agent")
    horizon: int
    description: str
    rewarded: float = Field(description="share of the steps of a random episode in which anybody got a reward")
