"""The orchestrator's side: jobs go to workers of the fork server, and come back as values or as failures.

Nothing that a worker sends is believed before it was checked, and no fault of a worker raises anything but
JobFailure here.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from marlsmith.marl.executor import Cancelled
from marlsmith.marl.workers import frames
from marlsmith.marl.workers.contract import Connect, Jail, JobFailure, JobResult, Limits, Request
from marlsmith.marl.workers.conversation import Conversation
from marlsmith.marl.workers.frames import FrameError
from marlsmith.marl.workers.jobs import JOBS
from marlsmith.marl.workers.link import Link, ServerDied, ServerProcess
from marlsmith.schemas import UserError


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
        self._links: set[Link] = set()
        self._closed = False
        self._server = ServerProcess(self._jobs, self.home, jail)

    @property
    def home(self) -> Path:
        """A directory that goes with the pool, or with its server where the orchestrator is killed."""
        return Path(self._home.name)

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
        request = Request(message, tensors, limits, on_progress, connect)
        with contextlib.nullcontext() if companion else self._slot():
            try:
                return self._attempt(request)
            except ServerDied as died:
                if companion:
                    raise JobFailure("crash", f"the worker server died: {died}") from died
            try:
                return self._attempt(request)
            except ServerDied as died:
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
            if self._closed:
                raise Cancelled("the worker pool was closed")
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify()

    def _attempt(self, request: Request) -> JobResult:
        connections = {} if request.connect is None else request.connect()
        try:
            link = self._open(request.limits, connections)
        finally:
            for connection in connections.values():
                connection.close()  # the worker has it now, and its end is to be the end of the connection
        try:
            return Conversation(link, request).hold()
        except (ServerDied, JobFailure) as error:
            if self._closed:
                raise Cancelled("the worker pool was closed") from None
            if isinstance(error, ServerDied):
                link.server.destroy()  # its sockets may end before it counts as dead
            raise
        finally:
            with self._changed:
                self._links.discard(link)
                link.close()

    def _open(self, limits: Limits, connections: Mapping[int, socket.socket]) -> Link:
        with self._changed:
            if self._closed:
                raise Cancelled("the worker pool was closed")
            if not self._server.alive:
                self._server.stop()
                self._server = ServerProcess(self._jobs, self.home, self._jail)
            link = self._server.start(limits, connections)
            self._links.add(link)
            return link
