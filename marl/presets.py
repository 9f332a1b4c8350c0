"""Tuned settings for each algorithm and family of tasks, with where they come from.

A preset changes the defaults of `TrainConfig`; whoever asks for a setting by name changes the preset.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from marlsmith.marl.config import TrainConfig
from marlsmith.marl.pairs import parse_pairs, read_value
from marlsmith.schemas import TaskCard, UserError

# Found at LERO's 30,000 steps: the table is in benchmarks/README.md, `benchmarks/sweep.py` varies it. What a replay
# teaches depends on how often it is looked at: many small updates for every step. Old play teaches the wrong thing,
# so nothing is annealed but chance.
REPLAY = {
    "environments": 8,
    "rollout": 1,
    "updates": 8,
    "batch": 64,
    "learning_rate": 2e-3,
    "anneal": False,
    "gamma": 0.8,
    "epsilon_share": 0.25,
    "target_rate": 0.015,
}
# Food is far apart and the reward comes late, so more foresight and more chance; `benchmarks/learning.py foraging`.
FORAGING = {"gamma": 0.97, "entropy": 0.02}

PRESETS: dict[tuple[str, str], dict[str, Any]] = {
    ("mpe", "vdn"): REPLAY,
    ("mpe", "qmix"): REPLAY,
    ("lbf", "mappo"): FORAGING,
    ("lbf", "ippo"): FORAGING,
}
"""By (family, algorithm): the family is the part of a task's name before the first slash. MAPPO and IPPO on the
particle tasks have `TrainConfig`'s own defaults, which come from the same sweep."""

ELSEWHERE: dict[str, dict[str, Any]] = {name: {**REPLAY, "gamma": 0.97} for name in ("vdn", "qmix")}
"""By algorithm, for tasks of no family above: not tuned there, but no rollout is followed by too few updates."""

EPISODE = 25
RECURRENT = {"rollout": EPISODE, "sequence": EPISODE, "updates": 4, "batch": 32}
"""For a recurrent network that learns from replay: whole sequences are many steps, so there are fewer of them."""

OPTIONS = {"algorithm", "steps", "device"}
"""Settings that are options of the command line by themselves."""

OF_POLICIES = {"gae_lambda", "epochs", "minibatches", "clip", "entropy", "value_clip", "value_decay", "huber"}
OF_VALUES = {
    "replay", "updates", "batch", "sequence", "epsilon_start", "epsilon_end", "epsilon_share", "target_rate", "double",
    "mixer",
}  # fmt: skip
UNUSED = {"mappo": OF_VALUES, "ippo": OF_VALUES, "vdn": OF_POLICIES | {"mixer"}, "qmix": OF_POLICIES}
"""Settings that an algorithm does not read: to change one would change nothing, without a word."""


def train_config(card: TaskCard, algorithm: str, changes: Mapping[str, object] | None = None) -> TrainConfig:
    """The preset for this task and algorithm with some settings changed.

    Raises UserError for a setting that there is not, or a value that it cannot have.
    """
    family = card.name.partition("/")[0]
    wanted = dict(changes or {})
    for name in wanted:
        if name in UNUSED.get(algorithm, set()):
            raise UserError(f"{algorithm} does not use the setting {name}: leave it out.")
    preset = PRESETS.get((family, algorithm), ELSEWHERE.get(algorithm, {}))
    if wanted.get("network") == "gru" and algorithm in {"vdn", "qmix"}:
        length = min(EPISODE, card.horizon)
        preset = {**preset, **RECURRENT, "rollout": length, "sequence": length}
    try:
        config = TrainConfig.model_validate({**preset, **wanted, "algorithm": algorithm})
    except ValidationError as error:
        fault = error.errors()[0]
        name = ".".join(map(str, fault["loc"]))
        if fault["type"] == "extra_forbidden":
            known = ", ".join(sorted(TrainConfig.model_fields.keys() - OPTIONS))
            raise UserError(f"A training has no setting {name!r}; it has {known}.") from None
        raise UserError(f"The training's setting {name} = {fault['input']!r}: {fault['msg'].lower()}.") from None
    if config.sequence > card.horizon:
        raise UserError(
            f"sequence = {config.sequence}: episodes of {card.name} have {card.horizon} steps, so no more than that."
        )
    return config


def parse_settings(pairs: Sequence[str]) -> dict[str, object]:
    """`KEY=VALUE` as the command line takes them; raises UserError for what has an option of its own there."""
    settings = parse_pairs(pairs, "setting of a training", read_value)
    for name in OPTIONS & settings.keys():
        raise UserError(f"{name} has an option of its own: write --{name} {settings[name]}.")
    return settings
