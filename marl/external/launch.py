"""The orchestrator's side: looking at an environment, and keeping its servers. Nothing of the user's is imported."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from typing import IO, Any

from marlsmith.marl.external.read import read_source
from marlsmith.marl.external.source import Found, Source
from marlsmith.marl.external.wire import MOST_ENVIRONMENTS, EnvironmentFault
from marlsmith.schemas import UserError, printable

START_SECONDS = 90.0
"""The server itself gives its hosts 60 s."""
REPORT_SECONDS = 10.0
GRACE_SECONDS = 5.0
"""For a server to kill its hosts."""


def python(module: str) -> list[str]:
    """A Python of its own that does not find modules in the current directory before the installed ones."""
    return [sys.executable, "-P", "-m", f"marlsmith.marl.external.{module}"]


def examine(reference: str) -> tuple[Source, Found]:
    """A task's source and what a look at its environment told. Raises UserError, with the cause and what to do."""
    source = read_source(reference)
    return source, _found(source.model_dump_json(by_alias=True), source.probe_seconds)


@functools.lru_cache(maxsize=64)
def _found(source: str, seconds: float) -> Found:
    """Once per process and source: it takes a second or so, and `seconds` at most."""
    name = json.loads(source)["environment"]
    if sys.stderr.isatty():  # before the wait: it may be a long one
        print(f"looking at the environment {name} ...", file=sys.stderr, flush=True)
    with tempfile.TemporaryFile() as answer, tempfile.TemporaryFile() as log:  # a pipe may stay open behind it
        process = subprocess.Popen(
            python("probe"),
            stdin=subprocess.PIPE,
            stdout=answer,
            stderr=log,
            env={**os.environ, "OMP_NUM_THREADS": "1", "SDL_VIDEODRIVER": "dummy"},
            start_new_session=True,
        )
        try:
            process.communicate(source.encode(), seconds)
        except subprocess.TimeoutExpired:
            raise UserError(
                f"The environment {name} does not stand and play within {seconds:g} s: mend what hangs, or give it "
                "more time with step_seconds in a task card."
            ) from None
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)  # with whatever the environment has started
            process.wait()
        answer.seek(0)
        try:
            said: dict[str, Any] = json.load(answer)
        except ValueError:
            raise UserError(
                f"The environment {name} ends its process ({_ending(process.returncode, log)}): mend it."
            ) from None
    if "unfit" in said:
        reason = printable(said["unfit"], 500).rstrip(".")
        raise UserError(f"The environment {name} cannot be a task: {reason}.")
    return Found.model_validate(said)


def _ending(code: int, log: IO[bytes]) -> str:
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    return printable("; ".join((how, *_last_line(log))), 300)


def _last_line(log: IO[bytes]) -> list[str]:
    """None or one."""
    log.seek(0)
    return [line for line in log.read().decode(errors="replace").splitlines() if line.strip()][-1:]


# ---------------------------------------------------------------- servers


@dataclass(frozen=True)
class Report:
    """How it went, by the server's word."""

    fault: str | None = None
    restarts: int = 0
    reason: str = ""


class EnvironmentServer:
    """A server process with its hosts, for the one worker that gets `connection`; it ends with that.

    `most` environments are held at a time: the worker may run candidate code, and the hosts have no limits.
    Raises EnvironmentFault where it does not start.
    """

    def __init__(self, source: Source, found: Found, hosts: int, most: int = MOST_ENVIRONMENTS) -> None:
        self._control, control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.connection, worker = socket.socketpair()
        settings = {
            "source": source.model_dump(mode="json", by_alias=True),
            "layout": found.layout,
            "hosts": hosts,
            "most": most,
        }
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - as long-lived as the server
        with control, worker:
            self._process = subprocess.Popen(
                [*python("server"), str(control.fileno()), str(worker.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._log,
                pass_fds=(control.fileno(), worker.fileno()),
                start_new_session=True,
            )
        try:
            with contextlib.suppress(OSError):  # should it have died already, `_hear` says so
                self._control.send(json.dumps(settings).encode())
            if (fault := self._hear(START_SECONDS).fault) is not None:
                raise EnvironmentFault(fault)
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def report(self) -> Report:
        """How it went, once the connection has ended everywhere. Raises EnvironmentFault where the server died."""
        self.connection.close()
        try:
            return self._hear(REPORT_SECONDS)
        finally:
            self.stop()

    def stop(self) -> None:
        """The server ends with its sockets, and its hosts with it."""
        self.connection.close()
        self._control.close()
        try:
            self._process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _hear(self, seconds: float) -> Report:
        message = b""
        with contextlib.suppress(OSError):
            if not select.select([self._control], [], [], seconds)[0]:
                raise EnvironmentFault(f"its server does not answer within {seconds:g} s")
            message = self._control.recv(1 << 16)
        if not message:
            raise EnvironmentFault(self._last_words())
        return Report(**json.loads(message))

    def _last_words(self) -> str:
        return ": ".join(("its server has ended", *_last_line(self._log)))
