"""A run as it happens: its events are shown until it ends, pauses or asks."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from marlsmith.commands.exits import KILLED, PAUSED, WAITING, Halted, close_stdout
from marlsmith.graph.display import make_trace
from marlsmith.graph.run import Paused, Stop, WaitingForApproval
from marlsmith.graph.trace import Event
from marlsmith.schemas import PausingError


def follow(
    events: Callable[[Stop], Iterator[Event]], run: Path, *, as_json: bool, plain: bool, past: Sequence[Event] = ()
) -> None:
    """Ctrl-C pauses; a second one ends at once. Raises Halted where the run has not come to its end."""
    stop = Stop()
    with make_trace(as_json=as_json, plain=plain) as trace, _interruptible(stop):
        try:
            trace.recall(past)
            for event in events(stop):
                trace.tell(event)
        except Paused as reason:
            halt = Halted(str(reason), PAUSED)
        except WaitingForApproval as question:
            halt = Halted(str(question), WAITING)
        except BrokenPipeError:
            close_stdout()
            halt = Halted(f"nobody reads the output any more; go on with `marlsmith resume {run}`", PAUSED)
        except PausingError as error:
            halt = Halted(f"{error}; the run is paused, go on with `marlsmith resume {run}`", PAUSED)
        else:
            return
    raise halt  # out here, where the live view has gone


@contextmanager
def _interruptible(stop: Stop) -> Iterator[None]:
    def interrupt(number: int, frame: object) -> None:
        if stop.requested.is_set():
            os._exit(KILLED)
        print("\nmarlsmith: pausing (again to end at once)", file=sys.stderr)
        stop.request()

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
