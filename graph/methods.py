"""Methods are presets of one state machine; a run is a task, a method and how to train."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from pydantic import Field, ValidationError

from marlsmith.agents.settings import RoleSettings
from marlsmith.marl.config import EvaluationConfig, TrainConfig
from marlsmith.marl.executor import MOST_ROWS
from marlsmith.schemas import Record, Scope, UserError, printable

Selection = Literal["top-k", "tournament", "rank"]
MAX_STAGES = 50
MAX_SEEDS = 100


class Method(Record):
    """How signals are searched for and what it takes to promote one."""

    stages: int = Field(1, ge=1, le=MAX_STAGES)
    rounds: int = Field(4, ge=1, le=100)
    candidates: int = Field(3, ge=1, le=64, description="proposals per round")
    population: int = Field(2, ge=1, le=64, description="parents kept for the next round")
    evolve: Literal["reward", "observation", "both"] = "both"
    reward_mode: Literal["replace", "add"] = "replace"
    selection: Selection = "top-k"
    diagnose: bool = Field(True, description="ask the critic before each round that has evidence")
    search_seeds: int = Field(4, ge=1, le=MAX_SEEDS)
    confirm_seeds: int = Field(5, ge=2, le=MAX_SEEDS, description="fresh seeds for the final comparison")
    repairs: int = Field(1, ge=0, le=5, description="repair passes for rejected candidates, per round")
    level: float = Field(0.05, gt=0, lt=0.5, description="of the one-sided interval for the gain")
    margin: float = Field(0.0, description="the gain's lower bound must exceed it, in units of the score")
    scope: Scope = "own"
    signals: Literal["config", "any"] = "any"
    approve: bool = Field(False, description="ask a person before a promotion")


# LERO, Table 1 (3 candidates, 4 rounds, population 2) and Table 2 (Reward, Observation, Evolution).
PRESETS: dict[str, Method] = {
    "lero": Method(),
    "lr": Method(rounds=1, evolve="reward"),
    "lo": Method(rounds=1, evolve="observation"),
    "lro": Method(rounds=1),
    "ler": Method(evolve="reward"),
    "leo": Method(evolve="observation"),
}


def method_from(name: str, overrides: Mapping[str, object] | None = None) -> Method:
    """The preset of this name, with some fields overridden; UserError names what is known or wrong."""
    if name not in PRESETS:
        raise UserError(f"unknown method {name!r}: choose one of {', '.join(PRESETS)}")
    try:
        return Method.model_validate(PRESETS[name].model_dump() | dict(overrides or {}))
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
    field, said = str(fault["loc"][0]), printable(str(fault["input"]), 80)
    option = {"search_seeds": "seeds"}.get(field, field.replace("_", "-"))
    why = fault["msg"][:1].lower() + fault["msg"][1:]
    if fault["type"] == "literal_error":
        *others, last = get_args(Method.model_fields[field].annotation)
        why = f"choose {', '.join(others)} or {last}"
    raise UserError(f"--{option} {said}: {why}")


class RunSettings(Record):
    """All that a run depends on; written to run.toml and read back by `resume`."""

    task: str
    method_name: str = "lero"
    method: Method = PRESETS["lero"]
    train: TrainConfig = TrainConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    roles: RoleSettings = RoleSettings()
    seed: int = Field(0, ge=0, le=400_000, description="times 10,000 it still fits 32 bits, see seeds.py")
    workers: int = Field(1, ge=1, le=1024, description="branches trained at the same time")
    branch_seconds: float = Field(600.0, gt=0, description="time limit of one branch")
    unsafe_jail: bool = Field(False, description="run although the jail around candidate code is not sound")


def reward_rows(train: TrainConfig, seeds: int) -> int:
    """Rows of one reward call in such a training, for a check at the size that counts; at most MOST_ROWS."""
    return min(MOST_ROWS, seeds * train.environments * train.rollout)
