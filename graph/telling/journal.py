"""The run's memory of what happened: events.jsonl, and what the run has cost.

Nodes record an event before they hand it to LangGraph's stream. What stands in a checkpoint was therefore
told before; a driver that wrote what it takes from the stream would lose events to a kill between the two.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from marlsmith.agents.asking.accounting.ledger import Spent
from marlsmith.graph.run_directory import RunDirectory
from marlsmith.graph.telling.trace import Event, JailStanding, identity
from marlsmith.schemas import JailReport, UserError


class Journal:
    """Keeps each fact once, whatever was killed while telling it. Branches record from several threads."""

    def __init__(self, directory: RunDirectory) -> None:
        directory.mend_events()
        self._directory = directory
        self._lock = threading.Lock()
        self._known: set[tuple[Any, ...]] = set()
        self._finished: Event | None = None
        self._jails: list[JailReport | None] = []
        self._spent: Callable[[], Spent] = Spent
        last: Event = {}
        try:
            for last in directory.events():
                self._remember(last)
            self._started = time.monotonic() - last.get("seconds", 0.0)
        except (KeyError, TypeError, ValidationError) as error:
            raise UserError(f"{directory.path / 'events.jsonl'} is damaged: restore it, or start a new run") from error

    def meter(self, spent: Callable[[], Spent]) -> None:
        """`spent` counts the whole run, over all its processes."""
        self._spent = spent

    def record(self, event: Event) -> Event:
        """The event with the run's cost so far; written unless it is progress, or known already."""
        with self._lock:
            seconds = round(time.monotonic() - self._started, 3)
            spent = self._spent()
            event = {**event, "seconds": seconds, "tokens": spent.usage.tokens, "money": spent.money}
            if event["event"] != "progress" and identity(event) not in self._known:
                self._directory.append_event(event)
                self._remember(event)
            return event

    def jail(self) -> JailStanding | None:
        """What the run's processes found, taken together; one that wrote nothing down has not seen its jail hold."""
        reports = [report for report in self._jails if report is not None]
        if not reports:
            return None
        sound = len(reports) == len(self._jails) and all(report.sound for report in reports)
        return JailStanding(sound=sound, unsafe=any(report.unsafe for report in reports))

    def finished(self) -> Event:
        if self._finished is None:
            raise UserError(
                f"{self._directory.path / 'events.jsonl'} lacks its last event: restore the file, or run anew"
            )
        return self._finished

    def _remember(self, event: Event) -> None:
        if (known := identity(event)) is not None:
            self._known.add(known)
        match event["event"]:
            case "finished":
                self._finished = event
            case "run_started":
                found = event.get("jail")
                self._jails.append(None if found is None else JailReport.model_validate(found))
