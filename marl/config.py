"""One frozen record for every knob of a training: the door through which all algorithms are entered."""

from __future__ import annotations

import hashlib
from typing import Literal

from pydantic import Field, field_validator, model_validator

from marlsmith.schemas import Record, Signal, canonical

FADED = 0.75
"""Of what is left of the training when a fade begins: after this share of it nothing is left of the shaping, so
that the rest is trained on the true task. A fade from .8 on has ended at .95."""


class TrainConfig(Record):
    """How members are trained. Defaults: benchmarks/README.md says where each number comes from."""

    algorithm: str = "mappo"
    steps: int = Field(30_000, ge=1, description="environment steps of each member")
    environments: int = Field(16, ge=1, le=4096, description="parallel environments of each member")
    rollout: int = Field(25, ge=1, description="steps of every environment between two updates")
    network: Literal["mlp", "gru"] = Field("mlp", description="feed-forward, or one that remembers")
    sharing: Literal["shared", "separate"] = Field("shared", description="one network with agent id, or one an agent")
    hidden: int = Field(64, ge=1, description="width of the hidden layers")
    learning_rate: float = Field(2e-3, gt=0)
    anneal: bool = Field(True, description="let the learning rate fall linearly to zero")
    adam_epsilon: float = Field(1e-5, gt=0)
    max_gradient_norm: float = Field(10.0, gt=0)
    gamma: float = Field(0.9, ge=0, lt=1)
    fade: float | None = Field(
        None, ge=0, lt=1, description="share of the training after which an added shaped reward falls to zero"
    )
    device: str = Field("cpu", description="where everything lies: cpu, cuda or cuda:NUMBER")

    @field_validator("fade", mode="before")
    @classmethod
    def _none(cls, value: object) -> object:
        """Said on a command line, where a method's preset has a fade."""
        return None if value == "none" else value

    @property
    def whole_steps(self) -> int:
        """Environment steps of each member until the training ends: whole rollouts."""
        return self.whole(self.steps)

    def whole(self, steps: int) -> int:
        """So many environment steps of each member, and what is missing to whole rollouts."""
        rollout = self.rollout * self.environments
        return -(-steps // rollout) * rollout

    def shaping_left(self, progress: float) -> float:
        """What an added shaped reward counts, 1..0, when a share `progress` of the training is done."""
        if self.fade is None:
            return 1.0
        span = FADED * (1 - self.fade)
        return min(max((self.fade + span - progress) / span, 0.0), 1.0)

    # MAPPO and IPPO
    gae_lambda: float = Field(0.95, ge=0, le=1)
    epochs: int = Field(5, ge=1)
    minibatches: int = Field(4, ge=1)
    clip: float = Field(0.2, gt=0, description="of the probability ratio")
    entropy: float = Field(0.01, ge=0)
    value_clip: float = Field(0.2, gt=0, description="of the normalised value")
    value_decay: float = Field(0.9, ge=0, lt=1, description="of the value normaliser's averages, per rollout")
    huber: float = Field(10.0, gt=0, description="where the value loss turns linear, in normalised units")

    # VDN and QMIX
    replay: int = Field(20_000, ge=1, description="environment steps of each member that are remembered")
    updates: int = Field(4, ge=1, description="of the networks, after each rollout")
    batch: int = Field(128, ge=1, description="sequences of an update")
    sequence: int = Field(1, ge=1, description="steps of a replayed sequence; a recurrent network needs many")
    epsilon_start: float = Field(1.0, ge=0, le=1, description="share of random actions at the start")
    epsilon_end: float = Field(0.05, ge=0, le=1)
    epsilon_share: float = Field(0.5, gt=0, le=1, description="share of the training over which epsilon falls")
    target_rate: float = Field(0.01, gt=0, le=1, description="of the target network towards the online one, per update")
    double: bool = Field(True, description="the online network picks the action that the target network values")
    mixer: int = Field(32, ge=1, description="width of QMIX's mixing network")


CURVE_EPISODES = 10
"""Of each member, for a point of the learning curve."""


class EvaluationConfig(Record):
    """The score: greedy policy, fixed episodes, the task's own metric."""

    episodes: int = Field(50, ge=1)
    seed: int = Field(20_250_321, ge=0, description="of the episodes; commands take one that is no public number")


class Start(Record):
    """Where a branch takes up a training: what its checkpoint is, and what changes."""

    signal: Signal = Field(description="under which the checkpoint was trained")
    steps: int = Field(
        ge=0,
        description="environment steps of each member on the main run's clock, which may be ahead of those trained",
    )
    fork: int | None = Field(None, ge=0, description="go on with other random numbers, by this seed")
    value_warm_up: int = Field(2, ge=0, description="rollouts after a change of signal that only teach the values")


class BranchRequest(Record):
    """One branch: a candidate trained under some seeds, from scratch or from a checkpoint, then evaluated."""

    branch: str = Field(
        pattern=r"^[a-z0-9][a-z0-9_-]{0,80}$", description="names its directory and is its idempotency key"
    )
    candidate: str
    task: str
    seeds: tuple[int, ...] = Field(min_length=1)
    reward_mode: Literal["replace", "add"] = "replace"
    train: TrainConfig = TrainConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    start: Start | None = Field(None, description="None: from scratch")
    until: int | None = Field(
        None,
        ge=0,
        description="environment steps of the main run's clock at which the branch ends; None: train.steps",
    )

    @property
    def begins(self) -> int:
        """On the main run's clock."""
        return 0 if self.start is None else self.start.steps

    @property
    def ends(self) -> int:
        """On the main run's clock, after whole rollouts."""
        until = self.train.steps if self.until is None else self.until
        return self.begins + self.train.whole(until - self.begins)

    @property
    def steps(self) -> int:
        """Environment steps that this branch trains each seed for."""
        return self.ends - self.begins

    def about(self, signal: Signal) -> dict[str, object]:
        """What a checkpoint of this branch, trained under this signal, says of itself."""
        said = self.model_dump(mode="json", include={"task", "seeds", "train"})
        return {**said, "signal": hashlib.sha256(canonical(signal).encode()).hexdigest()}

    @model_validator(mode="after")
    def _forward(self) -> BranchRequest:
        until = self.train.steps if self.until is None else self.until
        if not self.begins <= until <= self.train.whole_steps:
            raise ValueError(
                f"a branch from {self.begins} to {until} steps must go forward, and end by {self.train.whole_steps}"
            )
        return self

    @field_validator("seeds")
    @classmethod
    def _independent(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if any(seed < 0 for seed in seeds) or len(set(seeds)) < len(seeds):
            raise ValueError(f"seeds are {list(seeds)} and must be different numbers from 0 on")
        return seeds
