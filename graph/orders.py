"""What the training tool is told, and what it orders of the executor."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from marlsmith.marl.config import BranchRequest
from marlsmith.schemas import Signal


class TrainBranch(BaseModel):
    """Train one candidate under the given seeds, from scratch or from the main run, and measure the task's score."""

    model_config = ConfigDict(extra="forbid")

    branch: str = Field(description="trained once: a second call returns what the first one found")
    candidate: str = Field(
        description="id of a candidate of this run, 'native' for the task as it is, 'control' for what the main run has"
    )
    task: str
    seeds: list[int] = Field(min_length=1)
    steps: int = Field(ge=0, description="environment steps of each seed")
    algorithm: str
    reward_mode: Literal["replace", "add"]
    start: int | None = Field(None, description="the stage after which the main run is taken up; None: from scratch")
    heat: int = Field(0, description="from 1: which of the main run's groups of seeds; 0 where there are none")
    until: int | None = Field(None, description="the main run's clock, in environment steps, when the branch is over")
    fork: int | None = Field(None, description="which other random numbers; None: those of the main run")
    episodes: str | None = Field(None, description="which evaluation episodes; None: those of the search")


@dataclass(frozen=True)
class Order:
    """One training: the request, its signal, and the checkpoint from which it goes on, if from any."""

    request: BranchRequest
    signal: Signal
    checkpoint: Path | None = None
