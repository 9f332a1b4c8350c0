"""The orchestrator's side: jobs go to workers of the fork server, and come back as values or as failures.

Nothing that a worker sends is believed before it was checked, and no fault of a worker raises anything but
JobFailure here.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import select
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

from marlsmith.marl.executor import Cancelled
from marlsmith.marl.workers import frames
from marlsmith.marl.workers.failures import traced_line
from marlsmith.marl.workers.frames import CHUNK, Frame, FrameError, FrameReader, Kind
from marlsmith.marl.workers.jobs import JOBS
from marlsmith.schemas import FailureStage, UserError, printable

START_SECONDS = 120.0  # for the server to import torch on a slow disk, and fork
GRACE_SECONDS = 5.0  # for a killed process to be gone
ERRORS_LIMIT = 1 << 16
TRACE_SECONDS = 0.2  # for a worker to say where it is before it is killed
MESSAGE_LIMIT = 1000
STAGES: tuple[str, ...] = get_args(FailureStage)
INHERITED = ("LANG",)
# Memory of a batch's size is wanted again at once: giving it back costs thousands of page faults an update.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(1 << 30)}
# A death by one of these, after the process had grown by this share of its budget, is a lack of memory.
MEMORY_DEATHS = (signal.SIGKILL, signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS)
MEMORY_SHARE = 0.8


Jail = Literal["required", "unsafe", "off"]
"""Whether a worker refuses to work where its jail does not hold, works all the same, or has none (for tests)."""

Connect = Callable[[], Mapping[int, socket.socket]]
"""Gives what a job finds at its descriptors, anew for every attempt; what it raises is passed on."""


@dataclass(frozen=True)
class Limits:
    """What one job may use. Time counts from the fork; memory comes on top of what the server holds."""

    wall_seconds: float
    stall_seconds: float  # without any frame
    memory_bytes: int
    cpu_seconds: float
    accelerator: bool = False
    """A GPU's driver reserves far more addresses than it uses, starts threads and opens devices: no such limits."""

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if name != "accelerator" and not value > 0:
                raise ValueError(f"{name} is {value} and must be positive")


@dataclass(frozen=True)
class JobResult:
    value: dict[str, Any]
    tensors: bytes | None = None  # safetensors, checked for consistency
    seconds: float = 0.0  # from the start of the worker to its end, by our clock


class JobFailure(Exception):
    """A job that has no result, and why. The message may quote the candidate: untrusted, printable."""

    def __init__(self, stage: FailureStage, message: str) -> None:
        super().__init__(printable(message, MESSAGE_LIMIT))
        self.stage: FailureStage = stage
        self.message = str(self)


class Pool:
    """Runs jobs in workers, at most `workers` at once. `run` is safe from several threads."""

    def __init__(self, workers: int, jobs: dict[str, str] | None = None, jail: Jail = "required") -> None:
        if workers < 1:
            raise UserError(f"{workers} workers cannot run anything: ask for at least one")
        if not sys.platform.startswith("linux"):
            raise UserError("workers need Linux: on other systems run marlsmith in a Linux container")
        self.workers = workers
        self._jail = jail
        self._jobs = JOBS | (jobs or {})
        self._home = tempfile.TemporaryDirectory(prefix="marlsmith-", ignore_cleanup_errors=True)
        self._changed = threading.Condition()
        self._running = 0
        self._links: set[_Link] = set()
        self._closed = False
        self._server = _Server(self._jobs, Path(self._home.name), jail)

    def run(
        self,
        job: str,
        arguments: dict[str, Any],
        limits: Limits,
        on_progress: Callable[[dict[str, Any]], None] | None = None,
        connect: Connect | None = None,
        *,
        tensors: bytes | None = None,
        companion: bool = False,
    ) -> JobResult:
        """Run one job to its end. Raises JobFailure, and Cancelled after `close`.

        `tensors` (safetensors) are sent along. A `companion` serves another job of this pool that waits for it:
        it has no slot of its own, and no second attempt.
        """
        if job not in self._jobs:
            raise ValueError(f"no job is called {job!r}; there are {', '.join(sorted(self._jobs))}")
        try:
            message = frames.pack({"job": job, "arguments": arguments, "tensors": tensors is not None})
        except FrameError as error:
            raise JobFailure("static", f"this cannot be sent to a worker: {error}") from None
        request = _Request(message, tensors, limits, on_progress, connect)
        with contextlib.nullcontext() if companion else self._slot():
            try:
                return self._attempt(request)
            except _ServerDied as died:
                if companion:
                    raise JobFailure("crash", f"the worker server died: {died}") from died
            try:
                return self._attempt(request)
            except _ServerDied as died:
                raise JobFailure("crash", f"the worker server died twice under this job: {died}") from died

    def close(self) -> None:
        """End every worker and the server; a job under way raises Cancelled."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            for link in self._links:
                link.hang_up()
            self._changed.notify_all()
        self._server.stop()
        self._home.cleanup()

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextlib.contextmanager
    def _slot(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._running < self.workers)
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify()

    def _attempt(self, request: _Request) -> JobResult:
        connections = {} if request.connect is None else request.connect()
        try:
            link = self._open(request.limits, connections)
        finally:
            for connection in connections.values():
                connection.close()  # the worker has it now, and its end is to be the end of the connection
        try:
            return _Conversation(link, request).hold()
        except (_ServerDied, JobFailure) as error:
            if self._closed:
                raise Cancelled("the worker pool was closed") from None
            if isinstance(error, _ServerDied):
                link.server.destroy()  # its sockets may end before it counts as dead
            raise
        finally:
            with self._changed:
                self._links.discard(link)
                link.close()

    def _open(self, limits: Limits, connections: Mapping[int, socket.socket]) -> _Link:
        with self._changed:
            if self._closed:
                raise Cancelled("the worker pool was closed")
            if not self._server.alive:
                self._server.stop()
                self._server = _Server(self._jobs, Path(self._home.name), self._jail)
            link = self._server.start(limits, connections)
            self._links.add(link)
            return link


# ---------------------------------------------------------------- the server, seen from outside


class _ServerDied(Exception):
    pass


class _Server:
    def __init__(self, jobs: dict[str, str], home: Path, jail: Jail) -> None:
        self._jail = jail
        self._log = home / "server.log"
        self._ids = itertools.count()
        self._sending = threading.Lock()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        settings = json.dumps({"jobs": jobs, "home": str(home)})
        command = [
            sys.executable,
            "-I",
            "-m",
            "marlsmith.marl.workers.server",
            str(theirs.fileno()),
            settings,
        ]
        with theirs, self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                env=_environment(home),
                cwd=home,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def start(self, limits: Limits, connections: Mapping[int, socket.socket]) -> _Link:
        """Ask for a worker. That the server has died meanwhile shows as the end of the status stream."""
        link = _Link(self, next(self._ids))
        message = {
            "op": "start",
            "id": link.id,
            "limits": asdict(limits),
            "jail": self._jail,
            "connections": list(connections),
        }
        with link.worker_status, link.worker_job, link.worker_errors:
            ours = (link.worker_status.fileno(), link.worker_job.fileno(), link.worker_errors.fileno())
            self._send(message, [*ours, *(one.fileno() for one in connections.values())])
        return link

    def kill(self, id: int) -> None:
        self._send({"op": "kill", "id": id}, [])

    def trace(self, id: int) -> None:
        self._send({"op": "trace", "id": id}, [])

    def stop(self) -> None:
        """The server ends its workers when its control socket ends."""
        self._control.close()
        self._process.terminate()  # heeded only while it still imports
        try:
            self._process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self.destroy()

    def destroy(self) -> None:
        """Its workers die with it: their parent-death signal."""
        self._process.kill()
        self._process.wait()

    def last_words(self) -> str:
        with contextlib.suppress(OSError):
            lines = self._log.read_text(errors="replace").split("\n")
            return next((line for line in reversed(lines) if line.strip()), "it left no message")
        return "it left no message"

    def _send(self, message: dict[str, Any], descriptors: list[int]) -> None:
        with self._sending, contextlib.suppress(OSError):
            socket.send_fds(self._control, [json.dumps(message).encode()], descriptors)


def _environment(home: Path) -> dict[str, str]:
    """An allowlist: no key, and nothing else that the orchestrator was told, reaches a worker."""
    kept = {name: value for name, value in os.environ.items() if name in INHERITED or name.startswith("LC_")}
    return {
        "PATH": os.defpath,
        "USER": "marlsmith",
        **kept,
        "HOME": str(home),
        "TMPDIR": str(home),
        "TORCHINDUCTOR_CACHE_DIR": str(home / "inductor"),
        "OMP_NUM_THREADS": "1",
        **KEEP_MEMORY,
    }


class _Link:
    """What leads to one job. The job stream is the worker's word, the status stream the server's.

    A pipe takes what the worker writes to stderr. It is read only where that is wanted, and holds what fits into
    it: a worker that writes more is told so and does not wait.
    """

    def __init__(self, server: _Server, id: int) -> None:
        self.server = server
        self.id = id
        self.job, self.worker_job = socket.socketpair()
        self.status, self.worker_status = socket.socketpair()
        reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.errors, self.worker_errors = os.fdopen(reading, "rb", 0), os.fdopen(writing, "wb", 0)
        self.ended = False
        self._said = b""

    def kill(self) -> None:
        self.server.kill(self.id)

    def line(self) -> int | None:
        """The candidate's line that the worker has named on stderr."""
        with contextlib.suppress(OSError):
            self._said += self.errors.read(ERRORS_LIMIT) or b""
        return traced_line(self._said)

    def trace(self) -> int | None:
        """The candidate's line that the worker is at, where it says so at once. It says it in many small pieces."""
        self.server.trace(self.id)
        end, poll = time.monotonic() + TRACE_SECONDS, select.poll()
        poll.register(self.errors, select.POLLIN)
        while (line := self.line()) is None and len(self._said) < ERRORS_LIMIT:
            ready = poll.poll(max(0.0, 1000 * (end - time.monotonic())))
            if not any(event & select.POLLIN for _, event in ready):
                break
        return line

    def hang_up(self) -> None:
        """From another thread: whoever reads these sockets sees their end now."""
        for connection in (self.job, self.status):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        if not self.ended:
            self.kill()
        self.job.close()
        self.status.close()
        self.errors.close()


# ---------------------------------------------------------------- one job's conversation


@dataclass(frozen=True)
class _Request:
    message: bytes
    tensors: bytes | None
    limits: Limits
    on_progress: Callable[[dict[str, Any]], None] | None
    connect: Connect | None


class _Conversation:
    """Reads both streams to their ends under the limits, then says what came of the job."""

    def __init__(self, link: _Link, request: _Request) -> None:
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
            raise _ServerDied(f"no worker within {START_SECONDS:g} s")
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
        self._condemn("timeout", f"stopped at {limit}{_at(self._link.trace())}")

    def _condemn(self, stage: FailureStage, message: str) -> None:
        self._verdict = JobFailure(stage, message)
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
                raise _ServerDied(self._link.server.last_words())
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

    def _outcome(self) -> JobResult:
        if self._verdict is not None:
            raise self._verdict
        assert self._exit is not None
        if "error" in self._exit:
            raise JobFailure("crash", self._exit["error"])
        if self._failure is not None:
            raise self._failure
        if self._exit["signal"]:
            raise self._death(self._exit["signal"], self._exit["peak"] - self._resident)
        if self._reader.pending:
            raise JobFailure("crash", "malformed reply: it ends inside a frame")
        if self._value is None or self._exit["code"]:
            raise JobFailure("crash", f"the worker exited with code {self._exit['code']} before its result")
        return JobResult(self._value, self._tensors, time.monotonic() - self._started)

    def _death(self, number: int, grown: int) -> JobFailure:
        where = _at(self._link.line())
        if number == signal.SIGXCPU:
            limit = f"the limit of {self._limits.cpu_seconds:g} s of CPU time"
            return JobFailure("timeout", f"stopped at {limit}{where}")
        name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        if number in MEMORY_DEATHS and grown >= MEMORY_SHARE * self._limits.memory_bytes:
            budget = self._limits.memory_bytes >> 20
            return JobFailure("memory", f"died by {name}, having used up its {budget} MiB of memory{where}")
        return JobFailure("crash", f"the worker died by {name}{where}")


def _at(line: int | None) -> str:
    return "" if line is None else f" (line {line})"


def _failure(value: dict[str, Any]) -> JobFailure:
    match value:
        case {"stage": str(stage), "message": str(message)} if stage in STAGES:
            return JobFailure(cast(FailureStage, stage), message)
    raise FrameError("a failure without a known stage and a message")
