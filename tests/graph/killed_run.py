"""A run in a process of its own that may die on the way: killed_run.py RUN MARKER LOG."""

from __future__ import annotations

import sys
from pathlib import Path

from graph_fakes import Deadly, Equipment, FakeExecutor, ScriptedGenerator, make_settings

from marlsmith.graph import nodes, outcome
from marlsmith.graph.run import resume, start
from marlsmith.graph.run_directory import RunDirectory


def main(run: Path, marker: Path, log: Path) -> None:
    deadly = Deadly(marker)
    promote, finished_event = RunDirectory.promote, outcome.finished_event

    def half_promoted(self: RunDirectory, *arguments: object) -> None:
        (self.path / "main" / "checkpoint.safetensors").write_bytes(b"half")
        deadly.here("promote")
        promote(self, *arguments)  # type: ignore[arg-type]
        deadly.here("promoted")

    def dying(*arguments: object) -> object:
        deadly.here("finish")
        return finished_event(*arguments)  # type: ignore[arg-type]

    RunDirectory.promote = half_promoted  # type: ignore[method-assign, assignment]
    nodes.finished_event = dying  # type: ignore[assignment]
    equipment = Equipment(FakeExecutor(workers=1, log=log, deadly=deadly), ScriptedGenerator(deadly=deadly))
    settings = make_settings(rounds=2, workers=1)
    for event in resume(run, equipment) if run.exists() else start(settings, equipment, run):
        deadly.here(f"after:{event['event']}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
