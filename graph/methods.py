"""Methods are presets of one state machine; a run is a task, a method and how to train."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

    adapts: bool = Field(
        False, description="one main run whose signal is adapted, on branches forked from it; else all from scratch"
    )
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

    # Where one main run is adapted; `search_seeds` are then its members.
    branch_steps: int = Field(20_000, ge=1, description="environment steps of each member in a stage, and in a branch")
    heats: int = Field(2, ge=1, le=8, description="groups of members that are trained one after another in a race")
    proposing_stages: int = Field(MAX_STAGES, ge=0, le=MAX_STAGES, description="the first so many ask for proposals")
    gate: bool = Field(True, description="promote only what the statistics support; else whatever is proposed")
    audit: float = Field(0.2, ge=0, le=1, description="share of those dropped in the race that is trained all the same")
    finalists: int = Field(3, ge=1, le=64, description="of a round that pass the gate go into its confirmation")
    foresight: int = Field(2, ge=1, le=MAX_STAGES, description="stages' worth of steps that a confirmation trains")
    competence: float = Field(
        0.0, ge=-1, le=1, description="abstain where branch scores rank no better with their own longer run than this"
    )
    headroom: float = Field(
        0.02, ge=0, description="ask for proposals while the score is further than this below the best possible one"
    )
    fade: float | None = Field(
        0.8, ge=0, lt=1, description="share of the main run after which the shaped reward falls to 0; None: never"
    )
    value_warm_up: int = Field(2, ge=0, description="rollouts after a switch in which only the value network learns")
    plain: bool = Field(True, description="at the end train the same without a signal, to compare with")
    prelude: Method | None = Field(None, description="a search from scratch that finds the signal to begin with")

    @property
    def all_stages(self) -> int:
        return self.stages + self.opening

    @property
    def opening(self) -> int:
        """Stages of the search before the main run."""
        return self.prelude.stages if self.prelude is not None else 0

    def at(self, stage: int) -> Method:
        """The method that a stage (from 1) follows."""
        return self.prelude if self.prelude is not None and stage <= self.opening else self

    def groups(self, members: Sequence[int]) -> list[tuple[int, ...]]:
        """The members by heat, as even as can be; from scratch there is one heat."""
        heats = min(self.heats, len(members)) if self.adapts else 1
        return [tuple(members[i * len(members) // heats : (i + 1) * len(members) // heats]) for i in range(heats)]


# LERO, Table 1 (3 candidates, 4 rounds, population 2) and Table 2 (Reward, Observation, Evolution).
PRESETS: dict[str, Method] = {
    "lero": Method(),
    "lr": Method(rounds=1, evolve="reward"),
    "lo": Method(rounds=1, evolve="observation"),
    "lro": Method(rounds=1),
    "ler": Method(evolve="reward"),
    "leo": Method(evolve="observation"),
}

# LLM-ALSO. The paper's numbers are not public: 6 stages of 2 rounds and all else are ours.
_ALSO = Method(adapts=True, stages=6, rounds=2, population=1, reward_mode="add", search_seeds=8)
_UNGATED = _ALSO.model_copy(update={"gate": False, "rounds": 1, "candidates": 1, "diagnose": False})
PRESETS |= {
    "llm-also": _ALSO,
    "lero+also": _ALSO.model_copy(update={"prelude": Method(reward_mode="add", branch_steps=30_000)}),
    "also-metrics": _ALSO.model_copy(update={"diagnose": False}),
    "also-always": _UNGATED,
    "also-one-shot": _UNGATED.model_copy(update={"proposing_stages": 1}),
    "also-sparse": _UNGATED.model_copy(update={"proposing_stages": 0}),
}
"""By name. Those that begin with `also-` are what LLM-ALSO is compared with: without the critic, without the gate,
with one signal for good, and with none."""


OF_BOTH = ("evolve", "scope", "signals", "repairs", "level", "approve", "confirm_seeds", "selection")
"""What is said for a method with a prelude holds for that too; the last two for that alone."""


def method_from(name: str, overrides: Mapping[str, object] | None = None) -> Method:
    """The preset of this name, with some fields overridden; UserError names what is known or wrong."""
    if name not in PRESETS:
        raise UserError(f"unknown method {name!r}: choose one of {', '.join(PRESETS)}")
    preset, wanted = PRESETS[name].model_dump(), dict(overrides or {})
    if preset["prelude"] is not None:  # it searches for what the main run will allow
        preset["prelude"] |= {field: value for field, value in wanted.items() if field in OF_BOTH}
    try:
        return Method.model_validate(preset | wanted)
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


def reward_rows(train: TrainConfig, members: int) -> int:
    """Rows of one reward call in such a training, for a check at the size that counts; at most MOST_ROWS."""
    return min(MOST_ROWS, members * train.environments * train.rollout)


def branch_rows(settings: RunSettings) -> int:
    """The same for a branch of the run."""
    method = settings.method
    return reward_rows(settings.train, len(method.groups(range(method.search_seeds))[0]))


def branch_steps(settings: RunSettings) -> int:
    """Environment steps of each member in a branch of the run's search: whole rollouts."""
    method, train = settings.method, settings.train
    return train.whole(method.branch_steps) if method.adapts else train.whole_steps


def main_run_clock(settings: RunSettings, stage: int) -> int:
    """Environment steps of each member when a stage of the main run is over: whole rollouts."""
    return settings.train.whole((stage - settings.method.opening) * settings.method.branch_steps)
