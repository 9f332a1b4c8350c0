"""Runs told to trackers: while they happen, or afterwards."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from marlsmith.graph.telling.trace import Event
from marlsmith.results.past import PastRun
from marlsmith.results.tracking.rows import Row, Rows
from marlsmith.results.tracking.tracker import Tracker, open_tracker
from marlsmith.schemas import UserError, printable

LONGEST_FAULT = 300


def retell(run: PastRun, name: str) -> str:
    """A whole run to a tracker; where it can be looked at. Raises UserError where the tracker fails."""
    rows = Rows(run.code)
    try:
        tracker = open_tracker(name, run)
        for event in run.events:
            for row in rows.of(event):
                tracker.keep(row)
        tracker.close()
    except UserError:
        raise
    except (LookupError, TypeError, ValueError) as error:
        raise UserError(f"{run.path / 'events.jsonl'} is damaged ({_said(error)}): restore it") from error
    except Exception as error:  # whatever its library, the disk and the network do
        raise UserError(f"{name} does not keep {run.path}: {_said(error)}") from error
    return tracker.where


class Listener:
    """Tells a run under way. It never harms the run: a tracker that fails is given up, with one warning.

    What the events are it reads from the run's directory: there they have the order in which a later process,
    or `marlsmith track`, finds them, and what was not told before a kill is told now.
    """

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        self._path = path
        self._names = list(dict.fromkeys(names))
        self._trackers: dict[str, Tracker] = {}
        self._rows: Rows | None = None
        self._told = 0

    def hear(self, event: Event) -> None:
        """An event stands in the directory before it is heard."""
        if self._names and event["event"] != "progress":
            self._catch_up()

    def close(self) -> None:
        for name, tracker in list(self._trackers.items()):  # one that fails is taken out
            with self._sparing(name):
                tracker.close()

    def _catch_up(self) -> None:
        untold: list[Row] = []
        with self._sparing(*self._names):
            run = PastRun.open(self._path)
            self._rows = self._rows or Rows(run.code)
            untold = [row for event in run.events[self._told :] for row in self._rows.of(event)]
            self._told = len(run.events)
        for name in list(self._names):
            with self._sparing(name):
                if name not in self._trackers:
                    self._trackers[name] = open_tracker(name, run)
                    _say(f"to look at it: {self._trackers[name].where}")
                for row in untold:
                    self._trackers[name].keep(row)
                self._trackers[name].flush()

    @contextmanager
    def _sparing(self, *names: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # whatever the library, the disk and the network do
            for name in names:
                self._names.remove(name)
                self._trackers.pop(name, None)
            again = " ".join(f"--with {name}" for name in names)
            _say(
                f"{' and '.join(names)} failed ({_said(error)}) and is told no more; the run goes on, and "
                f"`marlsmith track {self._path} {again}` tells it later"
            )


def _said(error: Exception) -> str:
    return printable(f"{type(error).__name__}: {error}", LONGEST_FAULT)


def _say(sentence: str) -> None:
    print(f"marlsmith: {printable(sentence, 4 * LONGEST_FAULT)}", file=sys.stderr, flush=True)
