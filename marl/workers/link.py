"""The fork server and the ways to one worker, seen from outside."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from marlsmith.marl.workers.contract import Jail, Limits
from marlsmith.marl.workers.environment import environment
from marlsmith.marl.workers.failures import traced_line

GRACE_SECONDS = 5.0  # for a killed process to be gone
ERRORS_LIMIT = 1 << 16
TRACE_SECONDS = 0.2  # for a worker to say where it is before it is killed


class ServerDied(Exception):
    pass


class ServerProcess:
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
                env=environment(home),
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

    def start(self, limits: Limits, connections: Mapping[int, socket.socket]) -> Link:
        """Ask for a worker. That the server has died meanwhile shows as the end of the status stream."""
        link = Link(self, next(self._ids))
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


class Link:
    """What leads to one job. The job stream is the worker's word, the status stream the server's.

    A pipe takes what the worker writes to stderr. It is read only where that is wanted, and holds what fits into
    it: a worker that writes more is told so and does not wait.
    """

    def __init__(self, server: ServerProcess, id: int) -> None:
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
