"""One job's conversation with its worker: everything is checked before it is believed, and limits are kept."""

from __future__ import annotations

import contextlib
import selectors
import signal
import socket
import time
from typing import Any, cast, get_args

from marlsmith.marl.workers import frames
from marlsmith.marl.workers.contract import JobFailure, JobResult, Request
from marlsmith.marl.workers.failures import at
from marlsmith.marl.workers.frames import CHUNK, Frame, FrameError, FrameReader, Kind
from marlsmith.marl.workers.link import GRACE_SECONDS, Link, ServerDied
from marlsmith.schemas import FailureStage

START_SECONDS = 120.0  # for the server to import torch on a slow disk, and fork
STAGES: tuple[str, ...] = get_args(FailureStage)
# A death by one of these, after the process had grown by this share of its budget, is a lack of memory.
MEMORY_DEATHS = (signal.SIGKILL, signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS)
MEMORY_SHARE = 0.8
PROGRESS_LIMIT = 4096  # bytes
MOST_AT_ONCE, MOST_PER_SECOND = 500, 100  # reports of progress


class Conversation:
    """Reads both streams to their ends under the limits, then says what came of the job."""

    def __init__(self, link: Link, request: Request) -> None:
        self._link = link
        self._request = request
        self._limits = request.limits
        self._reader = FrameReader()
        self._status = FrameReader()
        self._value: dict[str, Any] | None = None
        self._tensors: bytes | None = None
        self._failure: JobFailure | None = None  # the worker's own
        self._verdict: JobFailure | None = None  # ours, which comes first
        self._exit: dict[str, Any] | None = None
        self._resident = 0  # bytes at the start
        self._started = 0.0
        self._spoken = 0  # reports of progress

    def hold(self) -> JobResult:
        with selectors.DefaultSelector() as selector:
            selector.register(self._link.status, selectors.EVENT_READ)
            self._await_start(selector)
            self._submit()
            selector.register(self._link.job, selectors.EVENT_READ)
            self._listen(selector)
        return self._outcome()

    def _await_start(self, selector: selectors.BaseSelector) -> None:
        if not selector.select(START_SECONDS):
            self._link.server.destroy()
            raise ServerDied(f"no worker within {START_SECONDS:g} s")
        self._read(self._link.status, selector)

    def _submit(self) -> None:
        self._started = time.monotonic()
        self._link.job.settimeout(self._limits.wall_seconds)
        with contextlib.suppress(OSError):  # a worker that died early is heard of in the status
            frames.send(self._link.job, Kind.JOB, self._request.message)
            if self._request.tensors is not None:
                frames.send(self._link.job, Kind.TENSORS, self._request.tensors)

    def _listen(self, selector: selectors.BaseSelector) -> None:
        self._heard = time.monotonic()
        self._wall = self._heard + self._limits.wall_seconds
        while selector.get_map():
            ready = selector.select(max(0.0, self._deadline() - time.monotonic()))
            for key, _ in ready:
                self._read(key.fileobj, selector)  # type: ignore[arg-type]  # only sockets are registered
            if time.monotonic() >= self._deadline():
                self._expire()

    def _deadline(self) -> float:
        if self._verdict is not None:
            return self._grace
        return min(self._wall, self._heard + self._limits.stall_seconds)

    def _expire(self) -> None:
        if self._verdict is not None:  # killed, and still there: the server does not do its work
            self._link.server.destroy()
            raise self._verdict
        if time.monotonic() >= self._wall:
            limit = f"the wall-clock limit of {self._limits.wall_seconds:g} s"
        else:
            limit = f"the stall limit of {self._limits.stall_seconds:g} s without a sign of progress"
        self._condemn("timeout", f"stopped at {limit}", self._link.trace())

    def _condemn(self, stage: FailureStage, message: str, line: int | None = None) -> None:
        self._verdict = JobFailure(stage, message, line)
        self._grace = time.monotonic() + GRACE_SECONDS
        self._link.kill()

    def _read(self, connection: socket.socket, selector: selectors.BaseSelector) -> None:
        try:
            data = connection.recv(CHUNK)
        except OSError:
            data = b""
        if not data:
            selector.unregister(connection)
        if connection is self._link.status:
            for frame in self._status.feed(data):
                self._hear_server(frame)
            if not data and self._exit is None and self._verdict is None:
                raise ServerDied(self._link.server.last_words())
        elif self._verdict is None:
            try:
                for frame in self._reader.feed(data):
                    self._hear_worker(frame)
            except FrameError as error:
                self._condemn("crash", f"malformed reply: {error}")

    def _hear_server(self, frame: Frame) -> None:
        if frame.kind is Kind.STARTED:
            self._resident = frame.json()["resident"]
        elif frame.kind is Kind.EXIT:
            self._exit = frame.json()
            self._link.ended = True

    def _hear_worker(self, frame: Frame) -> None:
        if self._value is not None or self._failure is not None:
            raise FrameError(f"a {frame.kind.name} frame after the end of the job")
        match frame.kind:
            case Kind.PROGRESS:
                self._require_calm(frame)
                progress = frame.json()
                if self._request.on_progress is not None:
                    self._request.on_progress(progress)
            case Kind.TENSORS if self._tensors is None:
                frames.check_tensors(frame.payload)
                self._tensors = frame.payload
            case Kind.RESULT:
                self._value = frame.json()
            case Kind.FAILURE:
                self._failure = _failure(frame.json())
            case _:
                raise FrameError(f"an unexpected {frame.kind.name} frame")
        self._heard = time.monotonic()

    def _require_calm(self, frame: Frame) -> None:
        """A worker that floods its orchestrator with progress would keep it from all other work."""
        self._spoken += 1
        spent = time.monotonic() - self._started
        if len(frame.payload) > PROGRESS_LIMIT or self._spoken > MOST_AT_ONCE + MOST_PER_SECOND * spent:
            raise FrameError("far more progress than there can be")

    def _outcome(self) -> JobResult:
        if self._verdict is not None:
            raise self._verdict
        assert self._exit is not None
        if "error" in self._exit:
            raise JobFailure("crash", self._exit["error"])
        if self._failure is not None:
            raise self._failure
        if self._exit["signal"]:
            raise self._death(self._exit["signal"], self._exit["peak"] - self._resident, self._exit["cpu"])
        if self._reader.pending:
            raise JobFailure("crash", "malformed reply: it ends inside a frame")
        if self._value is None or self._exit["code"]:
            raise JobFailure("crash", f"the worker exited with code {self._exit['code']} before its result")
        return JobResult(self._value, self._tensors, time.monotonic() - self._started)

    def _death(self, number: int, grown: int, seconds: float) -> JobFailure:
        line = self._link.line()
        where = at(line)
        if number == signal.SIGSYS:
            return JobFailure("jail", f"{where}the jail ended the worker at a system call of another architecture")
        if number == signal.SIGXCPU or (number == signal.SIGKILL and seconds >= self._limits.cpu_seconds):
            return JobFailure("timeout", "took more than its CPU time", line)
        name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        if number in MEMORY_DEATHS and grown >= MEMORY_SHARE * self._limits.memory_bytes:
            budget = self._limits.memory_bytes >> 20
            return JobFailure("memory", f"{where}died by {name}, having used up its {budget} MiB of memory")
        return JobFailure("crash", f"{where}the worker died by {name}")


def _failure(value: dict[str, Any]) -> JobFailure:
    match value:
        case {"stage": str(stage), "message": str(message)} if stage in STAGES:
            return JobFailure(cast(FailureStage, stage), message)
    raise FrameError("a failure without a known stage and a message")
