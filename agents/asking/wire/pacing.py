"""Whose turn it is: how many calls at a time, and how many in a minute, an endpoint is asked for."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from marlsmith.schemas import EndpointError, Interrupted

LONGEST_TURN = 3600.0
"""Seconds that a call may wait for its turn: with a few calls a minute, many branches make a long queue."""
POLL = 0.1
"""Seconds between two looks at whether the run is to stop."""


class Pacing:
    """Safe to share between threads; whoever waits is served in order of coming, calls spread evenly.

    The rate limiter of langchain would let even the first call wait, and knows no bound.
    `interrupted` ends all waits.
    """

    def __init__(
        self,
        parallel: int,
        per_minute: float | None,
        longest: float = LONGEST_TURN,
        interrupted: threading.Event | None = None,
    ) -> None:
        self._slots = threading.BoundedSemaphore(parallel)
        self._gap = 60.0 / per_minute if per_minute else 0.0
        self._longest = longest
        self._interrupted = interrupted or threading.Event()
        self._lock = threading.Lock()
        self._next = 0.0

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Raises EndpointError where it is too far away, and Interrupted."""
        self._take_slot()
        try:
            if self._interrupted.wait(self._wait()):
                raise Interrupted()
            yield
        finally:
            self._slots.release()

    def _take_slot(self) -> None:
        end = time.monotonic() + self._longest
        while not self._slots.acquire(timeout=min(POLL, max(0.0, end - time.monotonic()))):
            if self._interrupted.is_set():
                raise Interrupted()
            if time.monotonic() >= end:
                raise EndpointError(f"no call came back for {self._longest:g} s: raise `parallel` or lower `timeout`")

    def _wait(self) -> float:
        """Seconds to this call's place in the minute."""
        if not self._gap:
            return 0.0
        with self._lock:
            now = time.monotonic()
            start = max(now, self._next)
            if start - now > self._longest:
                raise EndpointError(
                    f"the next call would wait {start - now:.0f} s for its turn: raise `requests_per_minute`"
                )
            self._next = start + self._gap
            return start - now
