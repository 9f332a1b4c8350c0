"""How long and how often one question is tried, and how long is waited in between."""

from __future__ import annotations

import random
import threading
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite

from marlsmith.schemas import EndpointError, Interrupted

TRIES = 3
TRIES_AFTER_TIMEOUTS = 2
LONGEST_WAIT = 60.0
"""Seconds; an endpoint that asks for more is not waited for: the run pauses."""

_RANDOM = random.Random()  # not the module's: its state belongs to whoever seeds it


class Passing(Exception):
    """A failure that may pass by itself; `wait`: seconds that the endpoint asks for."""

    def __init__(self, words: str, *, wait: float | None = None, timeout: bool = False) -> None:
        super().__init__(words)
        self.wait = wait
        self.timeout = timeout


class Patience:
    """Of one question. Waiting for a turn does not use it up. `interrupted` ends all waits."""

    def __init__(self, who: str, timeout: float, backoff: float, interrupted: threading.Event | None = None) -> None:
        self._who = who
        self._timeout = timeout
        self._backoff = backoff
        self._interrupted = interrupted or threading.Event()
        self._left = TRIES * timeout + 2 * LONGEST_WAIT
        self._failures = 0
        self._timeouts = 0

    def seconds(self) -> float:
        """For the next call."""
        return min(self._timeout, max(self._left, 0.001))

    def used(self, seconds: float) -> None:
        self._left -= seconds

    def endure(self, passing: Passing) -> None:
        """Waits until it is worth another try. Raises EndpointError where it no longer is, and Interrupted."""
        self._failures += 1
        self._timeouts += passing.timeout
        if passing.wait is not None and passing.wait > LONGEST_WAIT:
            raise EndpointError(f"{self._who} asks to be left alone for {passing.wait:.0f} s ({passing}): resume then")
        pause = self._backoff * 2 ** (self._failures - 1) * _RANDOM.uniform(0.5, 1.0)  # or parallel calls come together
        wait = min(LONGEST_WAIT, pause) if passing.wait is None else passing.wait
        out_of_tries = self._failures >= TRIES or self._timeouts >= TRIES_AFTER_TIMEOUTS
        if out_of_tries or wait >= self._left:
            tries = "1 try" if self._failures == 1 else f"{self._failures} tries"
            raise EndpointError(f"{self._who} gave no usable reply in {tries} ({passing}): check the endpoint")
        if self._interrupted.wait(wait):
            raise Interrupted()
        self._left -= wait


def retry_after(header: str | None) -> float | None:
    """Seconds that a Retry-After header asks for, as a number or as a date; None where it says neither."""
    if not header:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            when = parsedate_to_datetime(header)
            when = when if when.tzinfo else when.replace(tzinfo=UTC)
            seconds = (when - datetime.now(UTC)).total_seconds()
        except (ValueError, OverflowError):
            return None
    return max(0.0, seconds) if isfinite(seconds) else None
