"""`marlsmith show`: the story of a run, told from its directory alone."""

from __future__ import annotations

from pathlib import Path

from marlsmith.graph.display import JsonTrace, OutputConsole, draw
from marlsmith.graph.run_directory import RunDirectory
from marlsmith.graph.story import Story


def show_run(run: Path, svg: Path | None, *, as_json: bool) -> None:
    directory = RunDirectory.open(run)
    if as_json:
        for event in directory.events():
            JsonTrace().tell(event)
        return
    story = Story()
    lines = (line for event in directory.events() for line in story.lines(event))
    if svg is not None:
        draw(lines, svg)
        return
    console = OutputConsole(highlight=False)
    for line in lines:
        console.print(line)
