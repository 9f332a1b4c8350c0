"""What several commands are told alike: the task and its training, and the scope."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from marlsmith.commands.episodes import evaluation_seed
from marlsmith.marl.algorithms import Spaces, find_algorithm
from marlsmith.marl.config import EvaluationConfig, TrainConfig
from marlsmith.marl.devices import checked_device
from marlsmith.marl.presets import parse_settings, train_config
from marlsmith.marl.tasks import make_task
from marlsmith.schemas import Scope, UserError, printable


@dataclass(frozen=True)
class BranchOptions:
    """How a branch trains, as the command line says it: `run` has many branches, `train` one."""

    task: str
    task_options: Sequence[str]
    algorithm: str
    train_options: Sequence[str]
    device: str
    steps: int | None
    """Of a candidate, or of a whole main run; None: as the method has it."""
    episodes: int
    evaluation_seed: int | None
    branch_seconds: float
    unsafe_jail: bool

    def evaluation(self) -> EvaluationConfig:
        """The episodes that decide, told to the simulator alone."""
        given = self.evaluation_seed
        return EvaluationConfig(episodes=self.episodes, seed=evaluation_seed() if given is None else given)

    def train_config(self, task: str) -> TrainConfig:
        """The tuned settings for this task, which has its parameters by now, changed as the command line says."""
        factory = find_algorithm(self.algorithm)
        changes = {"steps": self.steps, "device": self.device, **parse_settings(self.train_options)}
        card = make_task(task).card
        config = train_config(card, self.algorithm, changes)
        checked_device(config.device)
        factory.require_sense(Spaces.of(card, card.observation_size), config)
        return config


def known_scope(scope: str) -> Scope:
    if scope not in {"own", "team"}:
        raise UserError(f"--scope {printable(scope, 80)}: choose own or team")
    return scope  # type: ignore[return-value]
