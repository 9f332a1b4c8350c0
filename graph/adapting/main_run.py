"""The main run on disk: what it is after each stage, one `Lap` a file in `main/`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from marlsmith.graph.context import Context
from marlsmith.graph.naming import lap_branch
from marlsmith.schemas import Candidate, Evaluation, Record, Signal, UserError


class Lap(Record):
    """The main run after a stage. Its evaluation is of fresh episodes, which no gate has seen."""

    stage: int
    branch: str = Field(description="that it became: a candidate's or the control's")
    candidate: str = Field(description="the incumbent: whose signal it goes on with, or native")
    signal: Signal = Field(description="that it goes on with, and every control with it")
    trained: Signal = Field(description="under which its networks were trained: what they read")
    steps: int = Field(description="environment steps of each member, on the main run's clock")
    checkpoints: tuple[str, ...] = Field(description="by heat, relative to the run directory")
    evaluation: Evaluation
    alarm: str | None = Field(None, description="why it was rolled back")
    rolled_back_to: int | None = Field(None, description="the stage whose networks and signal it took up again")


def read(context: Context, stage: int) -> Lap:
    """Of a stage that is done. Raises UserError where the file was lost."""
    found = context.directory.lap(lap_branch(stage), Lap)
    if found is None:
        raise UserError(f"{context.directory.main_file(lap_branch(stage))} is missing: restore it, or start a new run")
    return found


def laps(context: Context, until: int) -> list[Lap]:
    """From the main run's start to the given stage."""
    return [read(context, stage) for stage in range(context.settings.method.opening, until + 1)]


def checkpoint(context: Context, lap: Lap, heat: int) -> Path:
    return context.directory.path / lap.checkpoints[heat - 1]


def in_the_main_run(candidate: Candidate, lap: Lap, context: Context) -> Signal:
    """The candidate's signal as the main run would carry it: what the policy already reads stays.

    Raises SignalError where that is more than a signal may have.
    """
    from marlsmith.marl.signals.carrying import carried  # it brings torch, which a finished run does without

    return carried(lap.trained, candidate.signal, context.parts.card)
