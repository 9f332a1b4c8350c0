"""A table as it is made: a bar over its cells with the time that is left, the state of the one under way below."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from marlsmith.graph.telling.trace import Event
from marlsmith.graph.telling.workload import Steps
from marlsmith.results.reproducing.drive import Table
from marlsmith.results.reproducing.estimate import seconds_left, spoken, work
from marlsmith.results.reproducing.plan import Cell


class Watch(Protocol):
    def tell(self, cell: Cell, event: Event) -> None: ...

    def __enter__(self) -> Watch: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Course:
    """What is known of a table under way."""

    def __init__(self, table: Table, *, shares: bool) -> None:
        self.work = work(table.orders, shares=shares)
        self.took = {cell: run.require_finished()["seconds"] for cell, run in table.finished().items()}
        self.cells = len(table.orders)
        self._places = {order.cell: table.past(order.cell) for order in table.orders if order.cell not in self.took}
        self.cell: Cell | None = None
        self.best: float | None = None
        self.steps, self.round, self.seconds = Steps(), 1, 0.0

    def take(self, cell: Cell, event: Event) -> None:
        if cell != self.cell:
            self._begin(cell)
        self._take(event)
        if event["event"] == "finished":
            self.took[cell] = event["seconds"]

    def _begin(self, cell: Cell) -> None:
        self.cell = cell
        self.steps, self.round, self.best = Steps(), 1, None
        past = self._places.get(cell)
        for event in past.events if past is not None else ():
            self._take(event)
        self.steps.interrupted()

    def _take(self, event: Event) -> None:
        self.steps.take(event)
        self.seconds = event.get("seconds", self.seconds)
        if event["event"] == "proposal":
            self.round = event["round"]
        elif event["event"] == "tool_result" and event["candidate"] != "native":
            known = (self.best, event["evaluation"]["score"])
            self.best = max((score for score in known if score is not None), default=None)

    @property
    def share(self) -> float:
        """Of the cell under way."""
        return self.steps.done / self.steps.total if self.steps.total else 0.0

    @property
    def done(self) -> float:
        """Of the whole table's work, in percent."""
        under_way = self.work[self.cell] * self.share if self.cell is not None and self.cell not in self.took else 0.0
        return 100 * (sum(self.work[cell] for cell in self.took) + under_way) / max(1.0, sum(self.work.values()))

    @property
    def left(self) -> str:
        under_way = self.cell is not None and self.cell not in self.took
        current = (self.cell, self.share, self.seconds) if self.cell is not None and under_way else None
        seconds = None if len(self.took) == self.cells else seconds_left(self.work, self.took, current)
        return "" if seconds is None else f"{spoken(seconds)} left"

    @property
    def state(self) -> str:
        """Of the cell under way."""
        best = f", best so far {self.best:.2f}" if self.best is not None else ""
        return f"round {self.round}{best}"


def outcome(cell: Cell, event: Event) -> str:
    """Of a cell that has finished, in a line."""
    standing = event["best"] or event["native"]
    seconds = f"{event['seconds']:.0f} s"
    if standing is None:
        return f"{cell.words}: no score ({event['reason']}), {seconds}"
    low, high = standing["interval"] or (standing["score"],) * 2
    native = f", native {event['native']['score']:.3f}" if event["native"] is not None and event["best"] else ""
    return f"{cell.words}: {standing['score']:.3f} [{low:.3f}, {high:.3f}]{native}, {seconds}"


class LiveWatch:
    def __init__(self, console: Console, course: Course, title: str) -> None:
        self.console, self.course, self.title = console, course, title
        self.bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[note]}", style="dim", markup=False),
            console=console,
            transient=True,
            refresh_per_second=4,
        )
        self.whole: TaskID = self.bars.add_task(title, total=100, note="")
        self.one: TaskID = self.bars.add_task("", total=100, note="", visible=False)

    def __enter__(self) -> LiveWatch:
        self.bars.start()
        self._move()
        return self

    def __exit__(self, *_: object) -> None:
        self.bars.stop()

    def tell(self, cell: Cell, event: Event) -> None:
        self.course.take(cell, event)
        if event["event"] == "finished":
            self.console.print(outcome(cell, event), markup=False, highlight=False)
        self.bars.update(
            self.one, description=cell.words, completed=100 * self.course.share, note=self.course.state, visible=True
        )
        self._move()

    def _move(self) -> None:
        course = self.course
        note = ", ".join(filter(None, (f"{len(course.took)} of {course.cells} runs", course.left)))
        self.bars.update(self.whole, completed=course.done, note=note)


class PlainWatch:
    """A line when a cell begins, and one when it has finished."""

    def __init__(self, course: Course) -> None:
        self.course = course

    def __enter__(self) -> PlainWatch:
        return self

    def __exit__(self, *_: object) -> None:
        sys.stderr.flush()

    def tell(self, cell: Cell, event: Event) -> None:
        if cell != self.course.cell:
            print(f"{cell.words}: begins ({len(self.course.took) + 1} of {self.course.cells})", file=sys.stderr)
        self.course.take(cell, event)
        if event["event"] == "finished":
            left = self.course.left
            print(outcome(cell, event) + (f"; {left}" if left else ""), file=sys.stderr, flush=True)


class JsonWatch:
    """An object for each cell that has finished, with what its last event says."""

    def __enter__(self) -> JsonWatch:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def tell(self, cell: Cell, event: Event) -> None:
        if event["event"] == "finished":
            said: Mapping[str, object] = {"event": "cell", "cell": cell.name, "finished": event}
            print(json.dumps(said, ensure_ascii=False, allow_nan=False), flush=True)


def make_watch(table: Table, title: str, *, shares: bool, as_json: bool, plain: bool) -> Watch:
    if as_json:
        return JsonWatch()
    console, course = Console(stderr=True, highlight=False), Course(table, shares=shares)
    if plain or not console.is_terminal or console.is_dumb_terminal:
        return PlainWatch(course)
    return LiveWatch(console, course, title)
