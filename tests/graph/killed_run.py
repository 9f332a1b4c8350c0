"""A run in a process of its own that may die on the way: killed_run.py RUN MARKER LOG [main-run]."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from graph_fakes import (
    Deadly,
    Equipment,
    FakeExecutor,
    ScriptedGenerator,
    StagedGenerator,
    make_main_run,
    make_settings,
    weight_of,
)

from marlsmith.graph import nodes, outcome
from marlsmith.graph.adapting import advance
from marlsmith.graph.methods import RunSettings
from marlsmith.graph.run import resume, start
from marlsmith.graph.run_directory import RunDirectory
from marlsmith.schemas import Signal

HACKING = 2.0
"""The weight of a signal that helps in the first stage and ruins the second, while it pays more and more."""


def main(run: Path, marker: Path, log: Path, what: str = "search") -> None:
    deadly = Deadly(marker)
    watch(deadly)
    settings, equipment = (adapted if what == "main-run" else searched)(deadly, log)
    for event in resume(run, equipment) if run.exists() else start(settings, equipment, run):
        deadly.here(f"after:{event['event']}")


def searched(deadly: Deadly, log: Path) -> tuple[RunSettings, Equipment]:
    equipment = Equipment(FakeExecutor(workers=1, log=log, deadly=deadly), ScriptedGenerator(deadly=deadly))
    return make_settings(rounds=2, workers=1), equipment


def adapted(deadly: Deadly, log: Path) -> tuple[RunSettings, Equipment]:
    """Stage 1 promotes a signal, stage 2 undoes it, stage 3 promotes another one; one of the dropped is audited."""

    def course(signal: Signal, clock: int, seed: int) -> float:
        weight = weight_of(signal)
        return -0.3 if weight == HACKING and clock >= 800 else 0.05 * weight

    executor = FakeExecutor(
        workers=1, log=log, deadly=deadly, course=course, pays=lambda signal, clock: weight_of(signal) * clock
    )
    generator = StagedGenerator({(1, 1): [HACKING, -1.0], (2, 1): [-9.0], (3, 1): [1.5]}, deadly)
    return make_main_run(rounds=1, audit=1, workers=1, branch_steps=800, foresight=1), Equipment(executor, generator)


def watch(deadly: Deadly) -> None:
    """Lets a run die before or after it writes what the next process will go by."""
    promote = RunDirectory.promote

    def half_promoted(self: RunDirectory, *arguments: Any) -> None:
        (self.path / "main" / "checkpoint.safetensors").write_bytes(b"half")
        deadly.here("promote")
        promote(self, *arguments)
        deadly.here("promoted")

    def around(place: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def dying(*arguments: Any) -> Any:
            name = next((argument for argument in arguments if isinstance(argument, str)), "")
            deadly.here(f"before {place}:{name}")
            done = call(*arguments)
            deadly.here(f"after {place}:{name}")
            return done

        return dying

    RunDirectory.promote = half_promoted  # type: ignore[method-assign]
    for place in ("keep_checkpoint", "write_lap", "write_evaluation", "forget_checkpoints"):
        setattr(RunDirectory, place, around(place, getattr(RunDirectory, place)))
    advance._prune = around("prune", advance._prune)
    finished_event = outcome.finished_event

    def finishing(*arguments: Any) -> Any:
        deadly.here("finish")
        return finished_event(*arguments)

    nodes.finished_event = finishing


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]), *sys.argv[4:])
