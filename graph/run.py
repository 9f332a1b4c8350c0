"""The driver: takes a run from wherever it stands to its next halt, and yields what happens."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.errors import GraphDrained
from langgraph.runtime import RunControl
from langgraph.types import Command, StateSnapshot

from marlsmith.graph.approving.approval import Answer, answer_name
from marlsmith.graph.context import Context, Outfitter, Parts
from marlsmith.graph.methods import Method, RunSettings
from marlsmith.graph.run_directory import RunDirectory
from marlsmith.graph.state import State, initial_state
from marlsmith.graph.telling import jail
from marlsmith.graph.telling.journal import Journal
from marlsmith.graph.telling.trace import Event, RunPaused, RunStarted, identity
from marlsmith.graph.wiring import Machine, build_with, fingerprint
from marlsmith.marl.executor import Cancelled, Executor
from marlsmith.schemas import Interrupted, PausingError, UserError, plain, printable


class Paused(Exception):
    """The run was asked to stop; it can be resumed."""


class WaitingForApproval(Exception):
    """The run has a question for a person; resume it with the answer. Under `name` the answer will be kept."""

    def __init__(self, sentence: str, name: str = "") -> None:
        super().__init__(sentence)
        self.name = name


class Stop:
    """How a run is asked to end early. `request` returns at once and may be called from a signal handler."""

    def __init__(self) -> None:
        self.requested = threading.Event()
        self._control: RunControl | None = None
        self._parts: Parts | None = None

    def request(self) -> None:
        self.requested.set()
        # A signal handler may interrupt a holder of any lock: the locks are taken elsewhere.
        threading.Thread(target=self._end, name="marlsmith-stop", daemon=True).start()

    def arm(self, control: RunControl, parts: Parts) -> None:
        self._control, self._parts = control, parts
        if self.requested.is_set():
            self._end()

    def _end(self) -> None:
        # A branch that is cancelled last finds the saver closed; its thread would log that as a traceback.
        logging.getLogger("concurrent.futures").setLevel(logging.CRITICAL + 1)
        if self._control is not None:
            self._control.request_drain("stopped")
        if self._parts is not None:
            self._parts.close()


def start(settings: RunSettings, outfitter: Outfitter, path: Path, *, stop: Stop | None = None) -> Iterator[Event]:
    """A new run in `path`, to its end; the last event is `finished`.

    Raises UserError, PausingError, Paused or WaitingForApproval. After any of them the run can be resumed,
    but where the jail or the outfitter refused: then nothing has happened, and nothing is left behind.
    """
    RunDirectory.require_place(path)
    executor = outfitter.engage(settings)
    try:
        directory = RunDirectory.create(
            path, settings, fingerprint(), jail.record(executor.jail(settings.train.device))
        )
        with directory.lock():
            try:
                yield from _drive(directory, outfitter, executor, stop or Stop(), None)
            except UserError:
                if not any(directory.events()):
                    directory.remove()
                raise
    finally:
        executor.close()


def resume(
    path: Path, outfitter: Outfitter, *, stop: Stop | None = None, answer: Answer | None = None
) -> Iterator[Event]:
    """An existing run from where it stands, with the answer to its question. Raises what `start` raises.

    A run that had finished says so again, without asking for an executor; one that waits asks again.
    """
    directory = RunDirectory.open(path, fingerprint())
    with directory.lock():
        yield from _drive(directory, outfitter, None, stop or Stop(), answer)


def _drive(
    directory: RunDirectory, outfitter: Outfitter, executor: Executor | None, stop: Stop, answer: Answer | None
) -> Iterator[Event]:
    journal = Journal(directory)
    with _saver(directory) as saver:
        machine = build_with(saver)
        config = _config(directory.settings)
        before = machine.get_state(config)
        if _is_finished(before):
            if answer is not None:
                raise UserError(f"{directory.path} has finished and waits for no approval: `marlsmith show` tells it")
            yield journal.finished()
            return
        answer = _answer(before, answer, directory)
        if before.interrupts and answer is None:
            yield from _asked(before, journal, directory)
        given = _input(before, answer)
        executor, told_the_end = executor or outfitter.engage(directory.settings), False
        try:
            report = executor.jail(directory.settings.train.device)
            parts = outfitter.equip(directory, executor)
            directory.stamp(jail.record(report))
            journal.meter(parts.spent)
            resumed = bool(before.values)
            started = RunStarted(run=str(directory.path), resumed=resumed, settings=directory.settings, jail=report)
            yield journal.record(plain(started))
            slots = threading.BoundedSemaphore(directory.settings.workers)
            context = Context(directory.settings, directory, parts, journal, slots)
            control = RunControl()
            stop.arm(control, parts)
            for event in _stream(machine, given, config, context, control):
                told_the_end = event["event"] == "finished"
                yield event
        except (Paused, PausingError) as halt:
            yield journal.record(plain(RunPaused(reason=_reason(halt, directory))))
            raise
        finally:
            executor.close()
        after = machine.get_state(config)
        if after.interrupts:
            yield from _asked(after, journal, directory)
        if not _is_finished(after):
            raise RuntimeError(f"{directory.path} ended before {after.next} without a verdict")
        if not told_the_end:  # the process before was killed when `finish` had done its work
            yield journal.finished()


def _stream(
    machine: Machine,
    given: State | Command[Any] | None,
    config: RunnableConfig,
    context: Context,
    control: RunControl,
) -> Iterator[Event]:
    stream: Any = machine.stream(
        given, config, context=context, stream_mode="custom", durability="sync", control=control
    )
    try:
        for event in stream:  # noqa: UP028, for `yield from` would pass GeneratorExit on and await the trainings
            yield event
    except GeneratorExit:
        context.parts.close()
        with suppress(Cancelled, Interrupted):
            stream.close()
        raise
    except (Cancelled, Interrupted, GraphDrained) as error:
        path = context.directory.path
        raise Paused(f"{path} is paused: continue it with `marlsmith resume {path}`") from error


def _reason(halt: Paused | PausingError, directory: RunDirectory) -> str:
    if isinstance(halt, Paused):
        return "it was asked to stop"
    source = directory.settings.roles.replay
    return end_of_record(source, halt, directory.path) if source else str(halt)


def end_of_record(source: str, error: PausingError, path: Path) -> str:
    """Of a replay: where it pauses, its source did, and only there can that be mended."""
    reason = printable(str(error).partition(": ")[0], 300)
    return (
        f"the record of {source} ends here, where that run paused ({reason}): "
        f"`marlsmith resume {source}` to its end, then `marlsmith resume {path}`"
    )


@contextmanager
def _saver(directory: RunDirectory) -> Iterator[SqliteSaver]:
    file, path = directory.path / "graph.sqlite", directory.path
    try:
        with SqliteSaver.from_conn_string(str(file)) as saver:
            # The default calls whatever function a file names: a run may come from somebody else.
            saver.serde = JsonPlusSerializer(allowed_msgpack_modules=None)
            yield saver
    except sqlite3.OperationalError as error:
        remedy = f"free space or allow it, then `marlsmith resume {path}`"
        raise UserError(f"cannot write {file} ({error}): {remedy}") from error
    except sqlite3.DatabaseError as error:
        raise UserError(f"{file} is damaged ({error}): start a new run") from error


def _config(settings: RunSettings) -> RunnableConfig:
    return {
        "configurable": {"thread_id": "run"},
        # LangGraph's threads also wait for the stream and write checkpoints. Were there only as many as there
        # are workers, one worker would wait for ever, and two would train one branch at a time.
        "max_concurrency": settings.method.candidates + 4,
        "recursion_limit": recursion_limit(settings.method),
    }


def recursion_limit(method: Method) -> int:
    """The longest way through the machine: a loop of ours ends as an error, a long run does not."""
    heats = method.heats if method.adapts else 1
    tried = 2 * heats + 3  # branch and judge for each heat, and once more to confirm; approve
    a_round = 1 + 2 * (method.repairs + 1) + tried  # diagnose; propose and check for each pass
    a_stage = 1 + a_round * method.rounds + 1 + tried + 2  # start_stage; check, for a person's signal; promote, advance
    prelude = recursion_limit(method.prelude) if method.prelude is not None else 0
    return prelude + a_stage * method.stages + 3  # branch and judge of the plain training; finish


def _input(snapshot: StateSnapshot, answer: Answer | None) -> State | Command[Any] | None:
    """What LangGraph is to be given; new input to a run under way would start it over."""
    if answer is not None:
        return Command(resume=plain(answer))
    return None if snapshot.next else initial_state()


def _answer(snapshot: StateSnapshot, answer: Answer | None, directory: RunDirectory) -> Answer | None:
    """To the question that waits. It is kept before anything is done about it, so that a kill does not lose it."""
    path = directory.path
    if not snapshot.interrupts:
        if answer is not None:
            raise UserError(f"{path} waits for no approval: go on with `marlsmith resume {path}`")
        return None
    name = answer_name(snapshot.interrupts[0].value)
    before = directory.kept(name, Answer)
    if before is None:
        return answer and directory.once(name, Answer, lambda: answer)
    if answer not in (None, before):
        raise UserError(f"{path} was answered already ({before.decision}): go on with `marlsmith resume {path}`")
    return before


def _asked(snapshot: StateSnapshot, journal: Journal, directory: RunDirectory) -> Iterator[Event]:
    """The question, and the end of this process."""
    question, path = dict(snapshot.interrupts[0].value), directory.path
    told = [event for event in directory.events() if identity(event) == identity(question)]
    yield told[0] if told else journal.record(question)
    raise WaitingForApproval(
        f"{path} waits for your approval: answer with `marlsmith approve {path} --yes`, `--no` or `--edit FILE`",
        answer_name(question),
    )


def _is_finished(snapshot: StateSnapshot) -> bool:
    return bool(snapshot.values.get("finished")) and not snapshot.next
