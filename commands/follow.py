"""A run as it happens: its events are shown until it ends, pauses or asks."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from marlsmith.agents.asking.accounting import book
from marlsmith.commands.exits import KILLED, PAUSED, WAITING, Halted, close_stdout
from marlsmith.graph.run import Paused, Stop, WaitingForApproval, end_of_record
from marlsmith.graph.run_directory import RunDirectory
from marlsmith.graph.telling.display import make_trace
from marlsmith.graph.telling.trace import Event
from marlsmith.results.tracking.telling import Listener
from marlsmith.schemas import EndpointError, PausingError


def follow(
    events: Callable[[Stop], Iterator[Event]],
    run: Path,
    *,
    as_json: bool,
    plain: bool,
    past: Sequence[Event] = (),
    trackers: Sequence[str] = (),
) -> None:
    """Ctrl-C pauses; a second one ends at once. Raises Halted where the run has not come to its end."""
    stop = Stop()
    with (
        make_trace(as_json=as_json, plain=plain) as trace,
        interruptible(stop),
        closing(Listener(run, trackers)) as listener,
    ):
        try:
            trace.recall(past)
            for event in events(stop):
                if as_json or event["event"] != "paused":  # people are told below, and what to type
                    trace.tell(event)
                listener.hear(event)
        except Paused as reason:
            halt = Halted(str(reason), PAUSED)
        except WaitingForApproval as question:
            halt = Halted(str(question), WAITING)
        except BrokenPipeError:
            close_stdout()
            halt = Halted(f"nobody reads the output any more; go on with `marlsmith resume {run}`", PAUSED)
        except PausingError as error:
            halt = Halted(f"{error}; the run is paused, go on with `marlsmith resume {run}`{_cure(run, error)}", PAUSED)
        else:
            return
    raise halt  # out here, where the live view has gone


def _cure(run: Path, error: PausingError) -> str:
    """A name that is wrong stays wrong however often the run is resumed: said of models that never answered."""
    if not isinstance(error, EndpointError) or not (run / "run.toml").exists():
        return ""
    roles = RunDirectory.open(run).settings.roles
    answered = (line for line in book.read(run / book.FILE) if book.answer_of(line) and book.usage_of(line))
    known = [book.model_of(line["asked"]) for line in answered]
    names = [name for name in roles.players if name in roles.models and roles.models[name] not in known]
    if not names:
        return ""
    return (
        "; where a model's name or address is wrong, first correct `model` or `base_url` "
        f"of {' and '.join(names)} in {run / 'run.toml'}"
    )


def as_replayed(events: Iterator[Event], source: str | None, path: Path) -> Iterator[Event]:
    """Of a run that may be a replay of `source`: where it pauses, its source did, and only there can that be mended."""
    try:
        yield from events
    except PausingError as error:
        if source is None:
            raise
        raise Halted(end_of_record(source, error, path), PAUSED) from None


@contextmanager
def interruptible(stop: Stop) -> Iterator[None]:
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
