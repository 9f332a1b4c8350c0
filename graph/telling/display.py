"""Where the story of a run is told, as it happens or told again later.

Live on a terminal (progress bars below the story), plain lines elsewhere, JSON lines on request.
"""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from marlsmith.graph.telling.story import Story
from marlsmith.graph.telling.trace import Event
from marlsmith.graph.telling.workload import Steps
from marlsmith.schemas import UserError


class Trace(Protocol):
    """Something that events are told to. The result goes to standard output, all else to standard error."""

    def recall(self, past: Iterable[Event]) -> None: ...

    def tell(self, event: Event) -> None: ...


class PlainTrace:
    """The story as lines, without colour or motion."""

    def __init__(self, file: IO[str]) -> None:
        self.console = _plain_console(file)
        self.story = Story()

    def recall(self, past: Iterable[Event]) -> None:
        self.story.recall(past)

    def tell(self, event: Event) -> None:
        console = _plain_console(sys.stdout) if event["event"] == "finished" else self.console
        for line in self.story.lines(event):
            console.print(line)

    def __enter__(self) -> PlainTrace:
        return self

    def __exit__(self, *_: object) -> None:
        self.console.file.flush()


class OutputConsole(Console):
    """Standard output. A reader that leaves is for the command to answer: rich would exit with 1."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def _plain_console(file: IO[str]) -> Console:
    width = None if file.isatty() else 120
    return OutputConsole(file=file, no_color=True, highlight=False, width=width, force_terminal=False)


class JsonTrace:
    """One JSON object per event on standard output."""

    def recall(self, past: Iterable[Event]) -> None:
        """Programs are told each event once."""

    def tell(self, event: Event) -> None:
        sys.stdout.write(json.dumps(event, ensure_ascii=False, allow_nan=False) + "\n")
        sys.stdout.flush()

    def __enter__(self) -> JsonTrace:
        return self

    def __exit__(self, *_: object) -> None:
        return None


class LiveTrace:
    """The story above, progress bars with remaining time below: one for the run, one for each branch."""

    def __init__(self, console: Console) -> None:
        self.console = console
        console.soft_wrap = True  # what others say on standard error passes here: a command in it stays whole
        self.story = Story()
        self.bars = Progress(
            TextColumn("{task.description}", style="dim", markup=False),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[note]}", style="dim", markup=False),
            TimeElapsedColumn(),
            TextColumn("left", style="dim"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            refresh_per_second=5,
        )
        self.branches: dict[str, TaskID] = {}
        self.run: TaskID | None = None
        self.steps = Steps()

    def __enter__(self) -> LiveTrace:
        self.bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bars.stop()

    def recall(self, past: Iterable[Event]) -> None:
        past = list(past)
        self.story.recall(past)
        for event in past:
            self.steps.take(event)
        self.steps.interrupted()

    def tell(self, event: Event) -> None:
        console = self.console
        self.steps.take(event)
        match event["event"]:
            case "run_started":
                self.run = self.bars.add_task("whole run", total=self.steps.total, note="")
            case "tool_call":
                self.branches[event["branch"]] = self.bars.add_task(event["branch"], total=None, note="starting")
            case "progress":
                self._move(event)
            case "tool_result" if (bar := self.branches.pop(event["branch"], None)) is not None:
                self.bars.remove_task(bar)
            case "finished":
                self.bars.stop()
                console = OutputConsole(highlight=False)
        if self.run is not None:
            self.bars.update(self.run, completed=self.steps.done, total=self.steps.total)
        for line in self.story.lines(event):
            console.print(line, soft_wrap=False)

    def _move(self, event: Event) -> None:
        bar = self.branches.get(event["branch"])
        if bar is None:
            return
        note = "" if event["score"] is None else f"score {event['score']:.2f}"
        self.bars.update(bar, total=event["total"], completed=event["steps"], note=note)


def make_trace(*, as_json: bool, plain: bool) -> LiveTrace | PlainTrace | JsonTrace:
    """Live on a terminal; plain lines where stderr is none, TERM is dumb, or on request; JSON on stdout."""
    if as_json:
        return JsonTrace()
    console = Console(stderr=True, highlight=False)
    if plain or not console.is_terminal or console.is_dumb_terminal:
        return PlainTrace(sys.stderr)
    return LiveTrace(console)


def draw(lines: Iterable[RenderableType], file: Path) -> None:
    """The story as a picture that opens offline. Raises UserError where it cannot be written."""
    console = Console(record=True, width=118, file=io.StringIO(), force_terminal=True, highlight=False)
    for line in lines:
        console.print(line)
    picture = re.sub(r"@font-face\s*{[^}]*}", "", console.export_svg(title="marlsmith"))
    try:
        file.write_text(picture, encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {file} ({(error.strerror or '').lower()}): choose another file") from None
