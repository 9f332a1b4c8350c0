"""One episode as its simulator saw it: what a renderer needs, and what can be said of it in words."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field, model_validator

from marlsmith.schemas import Record

MOST_NUMBERS = 100_000
"""Of one field in a whole episode."""
Finite = Annotated[float, Field(allow_inf_nan=False)]


class Series(Record):
    """A field of the state from the episode's start to its end, all numbers in a row."""

    shape: tuple[int, ...] = Field(max_length=8, description="of one state; () is one number")
    values: tuple[Finite, ...] = Field(max_length=MOST_NUMBERS)


class Replay(Record):
    """How to have an environment of others do the same once more, and how to tell that it did."""

    seed: int = Field(ge=0)
    actions: Series
    rewards: Series


class Recording(Record):
    """One of the first member's episodes, `steps` + 1 states of it."""

    task: str
    scores: tuple[Finite, ...] = Field(max_length=10_000, description="of all episodes that were played beside it")
    steps: int = Field(ge=1)
    fields: dict[str, Series] = Field(max_length=64)
    metrics: dict[str, Finite] = Field(max_length=64)
    replay: Replay | None = Field(None, description="None where the fields are enough to draw it")

    @model_validator(mode="after")
    def _whole(self) -> Recording:
        for name, series in self.fields.items():
            if len(series.values) != (self.steps + 1) * math.prod(series.shape):
                raise ValueError(f"the field {name} has {len(series.values)} numbers in {self.steps + 1} states")
        return self
