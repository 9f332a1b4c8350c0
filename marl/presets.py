"""Tuned settings for each algorithm and family of tasks, with where they come from.

A preset changes the defaults of `TrainConfig`; whoever asks for a setting by name changes the preset.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from marlsmith.marl.config import TrainConfig
from marlsmith.schemas import TaskCard, UserError

PRESETS: dict[tuple[str, str], dict[str, Any]] = {}
"""By (family, algorithm): the family is the part of a task's name before the first slash."""


def train_config(card: TaskCard, algorithm: str, changes: Mapping[str, object] | None = None) -> TrainConfig:
    """The preset for this task and algorithm with some settings changed.

    Raises UserError for a setting that there is not, or a value that it cannot have.
    """
    family = card.name.partition("/")[0]
    settings = {**PRESETS.get((family, algorithm), {}), **(changes or {}), "algorithm": algorithm}
    try:
        return TrainConfig.model_validate(settings)
    except ValidationError as error:
        fault = error.errors()[0]
        name = ".".join(map(str, fault["loc"]))
        if fault["type"] == "extra_forbidden":
            known = ", ".join(sorted(set(TrainConfig.model_fields) - {"algorithm", "steps"}))
            raise UserError(f"A training has no setting {name!r}; it has {known}.") from None
        raise UserError(f"The training's setting {name} = {fault['input']!r}: {fault['msg'].lower()}.") from None


def parse_settings(pairs: Sequence[str]) -> dict[str, object]:
    """`KEY=VALUE` as the command line takes them; values are read as JSON where they are JSON, else as words."""
    settings: dict[str, object] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise UserError(f"{pair!r} is no setting of a training: write KEY=VALUE.")
        try:
            settings[key] = json.loads(value)
        except ValueError:
            settings[key] = value
    return settings
