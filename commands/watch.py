"""A run that another process works on: its events as they come. Nothing of it is touched."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from marlsmith.graph.run_directory import RunDirectory, explained
from marlsmith.graph.telling.trace import Event
from marlsmith.graph.telling.workload import Steps

EVERY = 0.4
"""Seconds between two looks at the file."""
PATIENCE = 3.0
"""Seconds without news after which it is asked whether anybody is at work at all."""


class Tail:
    """Reads events.jsonl onwards from where it stopped; a line that is still being written waits for its end."""

    def __init__(self, directory: RunDirectory) -> None:
        self.directory, self.file = directory, directory.path / "events.jsonl"
        self._offset, self._lines = 0, 0

    def news(self) -> list[Event]:
        """Raises UserError where a whole line is no event."""
        try:
            with explained(self.file.parent), open(self.file, "rb") as file:
                file.seek(self._offset)
                read = file.read()
        except FileNotFoundError:
            return []
        whole = read[: read.rfind(b"\n") + 1]
        self._offset += len(whole)
        lines = whole.split(b"\n")[:-1]
        self._lines += len(lines)
        return [self.directory.event(line, number) for number, line in enumerate(lines, self._lines - len(lines) + 1)]


class Pace:
    """How far a run is and how long it may take yet, from its events alone: what is under way counts as nothing."""

    def __init__(self) -> None:
        self._steps, self._seconds, self._heard = Steps(), 0.0, time.monotonic()

    def take(self, event: Event) -> None:
        self._steps.take(event)
        self._seconds, self._heard = float(event.get("seconds", 0.0)), time.monotonic()

    def words(self) -> str:
        done, total = self._steps.done, self._steps.total
        if not done or not total:
            return "under way"
        left = self._seconds * (total - done) / done - (time.monotonic() - self._heard)
        share = f"under way: {done / total:.0%} of at most {total:,} environment steps"
        return f"{share}, about {timedelta(seconds=round(max(0.0, left)))} left"


def watched(directory: RunDirectory, tick: Callable[[], None] = lambda: None) -> Iterator[Event]:
    """All events there are, then each as it comes, until the run has ended, rests, or nobody works on it.

    `tick` is called at each look.
    """
    tail, rests, heard = Tail(directory), False, time.monotonic()
    while True:
        news = tail.news()
        yield from news
        if news:
            rests, heard = at_rest(news[-1]), time.monotonic()
        if rests or (time.monotonic() - heard > PATIENCE and not at_work(directory.path)):
            return
        tick()
        time.sleep(EVERY)


def at_rest(last: Event) -> bool:
    """Whether a run whose last event this is goes on by itself."""
    asks = last["event"] == "approval" and last["status"] == "asked"
    return asks or last["event"] in ("finished", "paused")


def at_work(run: Path) -> bool:
    """Whether the process that last worked on the run is there. Its lock is not tried: that could hinder a resume."""
    try:
        holder = int((run / "lock").read_text())
    except (OSError, ValueError):
        return False
    if holder <= 0:
        return False
    with suppress(PermissionError):  # somebody else's process, but there
        try:
            os.kill(holder, 0)
        except (ProcessLookupError, OverflowError):
            return False
    return True
