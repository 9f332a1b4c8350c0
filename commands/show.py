"""`marlsmith show`: the story of a run, told from its directory alone."""

from __future__ import annotations

from pathlib import Path

from rich.text import Text

from marlsmith.graph.run_directory import RunDirectory
from marlsmith.graph.telling.display import JsonTrace, OutputConsole, draw
from marlsmith.graph.telling.story import Story, answered, ending


def show_run(run: Path, svg: Path | None, *, as_json: bool) -> None:
    directory = RunDirectory.open(run)
    events = list(directory.events())
    if as_json:
        for event in events:
            JsonTrace().tell(event)
        return
    story = Story(again=True, answered=answered(events))
    lines = (line for event in events for line in story.lines(event))
    if svg is not None:
        draw(lines, svg)
        return
    console = OutputConsole(highlight=False)
    for line in lines:
        console.print(line)
    if (words := ending(events, run)) is not None:
        console.print(Text(words), soft_wrap=True)
