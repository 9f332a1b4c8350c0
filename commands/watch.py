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
BEGINNING = 60.0
"""Seconds for a run to begin that somebody follows already."""
SLACK = 2.0
"""Seconds by which the system's own account of when it was booted may be off."""


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
        gone = time.monotonic() - heard > PATIENCE and not at_work(directory.path)
        news = tail.news()  # read after that: a process writes its last event just before it goes
        yield from news
        if news:
            rests, heard = at_rest(news[-1]), time.monotonic()
        if rests or (gone and not news):
            return
        tick()
        time.sleep(EVERY)


def awaited(run: Path, say: Callable[[str], None]) -> RunDirectory:
    """A run that may be about to begin: where nothing is, or an empty directory, it is waited for."""
    waits = time.monotonic() + BEGINNING
    if _vacant(run):
        say(f"there is no run in {run} yet: waiting up to {BEGINNING:.0f} seconds for it")
    while _vacant(run) and time.monotonic() < waits:
        time.sleep(EVERY)
    return RunDirectory.open(run)


def _vacant(run: Path) -> bool:
    try:
        return not any(run.iterdir())
    except FileNotFoundError:
        return True
    except OSError:  # whatever it is, it will not become a run
        return False


def at_rest(last: Event) -> bool:
    """Whether a run whose last event this is goes on by itself."""
    asks = last["event"] == "approval" and last["status"] == "asked"
    return asks or last["event"] in ("finished", "paused")


def at_work(run: Path) -> bool:
    """Whether the process that last worked on the run is there. Its lock is not tried: that could hinder a resume.

    A process that began after the lock was written only has its number, from another boot or another container.
    """
    try:
        holder, written = int((run / "lock").read_text()), (run / "lock").stat().st_mtime
    except (OSError, ValueError):
        return False
    if holder <= 0:
        return False
    with suppress(PermissionError):  # somebody else's process, but there
        try:
            os.kill(holder, 0)
        except (ProcessLookupError, OverflowError):
            return False
    begun = _begun(holder)
    return begun is None or begun <= written + SLACK


def _begun(process: int) -> float | None:
    """When it began, in seconds since the epoch; None where the system does not say."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        boot = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime "))
        return int(boot.split()[1]) + int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, StopIteration, ValueError, IndexError):
        return None
