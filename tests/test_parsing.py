"""Candidates are parsed from several threads at once."""

from __future__ import annotations

import gc
import sys
import threading
import time

from marlsmith.schemas import parsed

SOURCE = "def f(x):\n" + "".join(
    f"    a{i} = [x.b({i}, c={{'k': (1, 2, {i})}}) for q in range({i}) if q]\n" for i in range(60)
)


class Litter:
    """In a ring with itself, so that the collector ends it, and lets another thread in while it does."""

    def __init__(self) -> None:
        self.ring = self

    def __del__(self) -> None:
        time.sleep(0)


def test_threads_that_parse_at_once_do_not_trip_over_each_other() -> None:
    """`ast.parse` itself fails here in most runs, under Python 3.11."""
    faults: list[BaseException] = []

    def parse() -> None:
        for _ in range(60):
            Litter()
            try:
                parsed(SOURCE)
            except SystemError as error:
                faults.append(error)
                return

    interval, thresholds = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(1e-5)
    gc.set_threshold(20, 2, 2)
    try:
        threads = [threading.Thread(target=parse) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
        gc.set_threshold(*thresholds)
    assert faults == []
