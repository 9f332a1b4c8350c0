"""The orchestrator's side: looking at an environment, and keeping its servers. Nothing of the user's is imported."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from marlsmith.marl.external.read import read_source
from marlsmith.marl.external.source import Found, Source
from marlsmith.marl.external.wire import EnvironmentFault
from marlsmith.schemas import UserError, printable

PROBE_SECONDS = 120.0
START_SECONDS = 120.0
REPORT_SECONDS = 60.0
"""For a server to tidy up after a worker: a host that hangs is waited for."""
GRACE_SECONDS = 5.0


def python(module: str) -> list[str]:
    """A Python of its own that does not find modules in the current directory before the installed ones."""
    return [sys.executable, "-P", "-m", f"marlsmith.marl.external.{module}"]


def examine(reference: str) -> tuple[Source, Found]:
    """A task's source and what a look at its environment told. Raises UserError, with the cause and what to do."""
    source = read_source(reference)
    return source, _found(source.model_dump_json(by_alias=True))


@functools.lru_cache(maxsize=64)
def _found(source: str) -> Found:
    """Once per process and source: it takes a second or so."""
    name = json.loads(source)["environment"]
    try:
        done = subprocess.run(
            python("probe"),
            input=source.encode(),
            capture_output=True,
            timeout=PROBE_SECONDS,
            env={**os.environ, "OMP_NUM_THREADS": "1", "SDL_VIDEODRIVER": "dummy"},
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        raise UserError(
            f"The environment {name} does not get through an episode within {PROBE_SECONDS:g} s: mend it, or shorten "
            "its episodes."
        ) from None
    try:
        said: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise UserError(f"The environment {name} ends its process ({_ending(done)}): mend it.") from None
    if "unfit" in said:
        reason = printable(said["unfit"], 500).rstrip(".")
        raise UserError(f"The environment {name} cannot be a task: {reason}.")
    return Found.model_validate(said)


def _ending(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = [line for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
    how = f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
    return printable(f"{how}; {lines[-1]}" if lines else how, 300)


# ---------------------------------------------------------------- servers


@dataclass(frozen=True)
class Report:
    """How it went while one worker was served, by the server's word."""

    fault: str | None
    restarts: int
    reason: str


class EnvironmentServer:
    """One server process with its hosts. It serves one worker at a time."""

    def __init__(self, source: Source, found: Found, hosts: int) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        settings = {"source": source.model_dump(mode="json", by_alias=True), "layout": found.layout, "hosts": hosts}
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - as long-lived as the server
        with theirs:
            self._process = subprocess.Popen(
                [*python("server"), str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._log,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        self._serving = False
        try:
            self._control.send(json.dumps(settings).encode())
            ready = self._hear(START_SECONDS)
            if ready["fault"] is not None:
                raise EnvironmentFault(ready["fault"])
        except OSError:
            self.stop()
            raise EnvironmentFault(self._last_words()) from None
        except EnvironmentFault:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def connect(self) -> socket.socket:
        """A connection for one worker; the one before must have ended. Raises EnvironmentFault."""
        if self._serving:
            self.report()
        mine, theirs = socket.socketpair()
        with theirs:
            try:
                socket.send_fds(self._control, [b"serve"], [theirs.fileno()])
            except OSError:
                mine.close()
                raise EnvironmentFault(self._last_words()) from None
        self._serving = True
        return mine

    def report(self) -> Report:
        """How it went, once the connection has ended everywhere. Raises EnvironmentFault where the server died."""
        if not self._serving:
            return Report(None, 0, "")
        self._serving = False
        return Report(**self._hear(REPORT_SECONDS))

    def stop(self) -> None:
        """The server ends with its control socket, and its hosts with it."""
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)  # whoever waits for a report hears of it
        self._control.close()
        try:
            self._process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _hear(self, seconds: float) -> dict[str, Any]:
        message = b""
        with contextlib.suppress(OSError, ValueError):  # it may be stopped meanwhile
            if select.select([self._control], [], [], seconds)[0]:
                message = self._control.recv(1 << 16)
        if not message:
            raise EnvironmentFault(self._last_words())
        found: dict[str, Any] = json.loads(message)
        return found

    def _last_words(self) -> str:
        self._log.seek(0)
        lines = [line for line in self._log.read().decode(errors="replace").splitlines() if line.strip()]
        return f"environment: its server has ended{f': {lines[-1]}' if lines else ''}"


class Servers:
    """Keeps servers between jobs: at most `most` in use at once, one for each worker slot and task."""

    def __init__(self, most: int, hosts: int) -> None:
        self._slots = threading.BoundedSemaphore(most)
        self._hosts = hosts
        self._lock = threading.Lock()
        self._idle: dict[str, list[EnvironmentServer]] = {}
        self._used: set[EnvironmentServer] = set()
        self._closed = False

    @contextmanager
    def borrow(self, source: Source, found: Found) -> Iterator[EnvironmentServer]:
        """A server for one job. Raises EnvironmentFault where none starts."""
        key = source.model_dump_json(by_alias=True)
        with self._slots:
            server = self._take(key) or EnvironmentServer(source, found, self._hosts)
            with self._lock:
                self._used.add(server)
            try:
                yield server
            finally:
                self._give_back(key, server)

    def _take(self, key: str) -> EnvironmentServer | None:
        with self._lock:
            waiting = self._idle.get(key, [])
            while waiting:
                server = waiting.pop()
                if server.alive:
                    return server
                server.stop()
        return None

    def _give_back(self, key: str, server: EnvironmentServer) -> None:
        healthy = server.alive
        if healthy:
            try:
                server.report()
            except EnvironmentFault:
                healthy = False
        with self._lock:
            self._used.discard(server)
            if healthy and not self._closed:
                self._idle.setdefault(key, []).append(server)
                return
        server.stop()

    def close(self) -> None:
        """End all servers, also those in use."""
        with self._lock:
            self._closed = True
            servers = [*self._used, *(server for waiting in self._idle.values() for server in waiting)]
            self._idle.clear()
        for server in servers:
            server.stop()
