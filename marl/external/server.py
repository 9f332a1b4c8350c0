"""The environment server: between the workers, which hold candidate code, and the hosts, which hold environments.

Run as `python -m marlsmith.marl.external.server FD`, where FD is the control socket. The first message on it
is the settings; each one after that brings the connection of one worker, whose requests are answered until
it ends. The server runs no code but its own: a worker's bytes are measured and passed on, never unpickled,
and what an environment does happens in hosts, which are killed and replaced when they crash or hang.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from marlsmith.marl.external import wire
from marlsmith.marl.external.wire import HEADER, EnvironmentFault, Kind, Layout, WireError

MOST_RESTARTS = 3
"""Of hosts, while one worker is served."""
START_SECONDS = 60.0
CHUNK = 1 << 20


class Gone(Exception):
    """Nobody is there any more for whom to work."""


class Inbox:
    """Messages out of a stream that arrives in pieces."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._buffer = bytearray()

    def read(self) -> None:
        """What has arrived. Raises EOFError at the end."""
        try:
            data = self.connection.recv(CHUNK, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            raise EOFError
        self._buffer += data

    def take(self, most: int) -> tuple[Kind, bytes] | None:
        """The next whole message. Raises WireError for what is none, or has more than `most` bytes."""
        if len(self._buffer) < HEADER.size:
            return None
        kind, length = wire.parse_header(bytes(self._buffer[: HEADER.size]), most)
        end = HEADER.size + length
        if len(self._buffer) < end:
            return None
        payload = bytes(self._buffer[HEADER.size : end])
        del self._buffer[:end]
        return kind, payload


@dataclass
class Group:
    """Environments that one worker opened, spread over the hosts in equal parts."""

    parts: list[range]  # by host
    lost: set[int] = field(default_factory=set)  # their episodes went down with a host, and nobody knows yet

    @property
    def size(self) -> int:
        return self.parts[-1].stop


class HostProcess:
    def __init__(self, settings: dict[str, Any]) -> None:
        self.connection, theirs = socket.socketpair()
        command = [sys.executable, "-P", "-m", "marlsmith.marl.external.host", str(theirs.fileno()), str(os.getpid())]
        with theirs:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        self.inbox = Inbox(self.connection)
        self.send(Kind.SETUP, json.dumps({"source": settings["source"], "layout": settings["layout"]}).encode())

    def send(self, kind: Kind, *payload: bytes) -> None:
        """An idle host reads at once; a dead one is found out by its silence."""
        with contextlib.suppress(OSError):
            wire.send(self.connection, kind, *payload)

    def end(self) -> str:
        """Kill it with all that it started; says how it had ended before, if it had."""
        self.connection.close()
        deadline = time.monotonic() + 0.2  # its end of the socket closes a moment before it is dead
        while (code := self._process.poll()) is None and time.monotonic() < deadline:
            time.sleep(0.005)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if code is None:
            return "it had to be killed"
        if code < 0:
            return f"it died by {signal.Signals(-code).name}" if -code in set(signal.Signals) else "it died by a signal"
        return f"it exited with code {code}"


class Server:
    def __init__(self, control: socket.socket, settings: dict[str, Any]) -> None:
        self._control = control
        self._settings = settings
        self._layout = Layout.parse(settings["layout"])
        self._count: int = settings["hosts"]
        self._patience: float = settings["source"]["step_seconds"]
        self._hosts: list[HostProcess] = []
        self._groups: dict[int, Group] = {}
        self._restarts = 0
        self._reason = ""

    # ------------------------------------------------------------ one worker after the other

    def serve(self) -> None:
        """Until the control socket ends; then leave nothing behind."""
        try:
            self._hosts = [HostProcess(self._settings) for _ in range(self._count)]
            fault = None
            try:
                for host in self._hosts:
                    self._await(host, START_SECONDS)
            except EnvironmentFault as error:
                fault = str(error)
            self._tell({"ready": fault is None, "fault": fault})
            while True:
                self._serve_one(self._next_worker())
        except Gone:
            pass
        finally:
            for host in self._hosts:
                host.end()

    def _next_worker(self) -> socket.socket:
        try:
            message, descriptors, _, _ = socket.recv_fds(self._control, 1 << 10, 1)
        except OSError:
            raise Gone from None
        if not message or not descriptors:
            raise Gone
        return socket.socket(fileno=descriptors[0])

    def _serve_one(self, worker: socket.socket) -> None:
        self._restarts, self._reason = 0, ""
        fault = None
        with worker:
            try:
                self._converse(Inbox(worker))
            except (EOFError, WireError):
                pass  # it has done its work, or it is no honest worker: the orchestrator sees to both
            except EnvironmentFault as error:
                fault = str(error)
                with contextlib.suppress(OSError):
                    worker.settimeout(1.0)
                    wire.send(worker, Kind.ERROR, fault.encode())
        for id in list(self._groups):
            with contextlib.suppress(EnvironmentFault):
                self._close(id)
        self._tell({"fault": fault, "restarts": self._restarts, "reason": self._reason})

    def _tell(self, message: dict[str, Any]) -> None:
        try:
            self._control.send(json.dumps(message).encode())
        except OSError:
            raise Gone from None

    def _converse(self, inbox: Inbox) -> None:
        while True:
            self._wait({inbox.connection: None}, None)
            inbox.read()
            while (message := inbox.take(self._largest())) is not None:
                self._reply(inbox.connection, self._answer(*message))

    def _largest(self) -> int:
        """Bytes of the longest request that can be right."""
        held = sum(group.size for group in self._groups.values())
        return 8 + max(4 * wire.MOST_ENVIRONMENTS, held * max(self._layout.action_bytes, 8))

    def _reply(self, worker: socket.socket, records: bytes) -> None:
        data = memoryview(HEADER.pack(wire.MAGIC, Kind.RECORDS, len(records)) + records)
        while data:
            try:
                data = data[worker.send(data, socket.MSG_DONTWAIT) :]
            except BlockingIOError:
                self._wait({worker: None}, None, write=True)
            except OSError:
                raise EOFError from None

    # ------------------------------------------------------------ requests

    def _answer(self, kind: Kind, payload: bytes) -> bytes:
        id, rest = wire.parse_group(payload)
        if kind is Kind.OPEN:
            return self._open(id, wire.parse_numbers(rest))
        if id not in self._groups:
            raise WireError("no such group")
        match kind:
            case Kind.STEP:
                return self._step(id, rest)
            case Kind.RESTART:
                return self._restart(id, rest)
            case Kind.CLOSE:
                self._close(id)
                return b""
        raise WireError("no request")

    def _open(self, id: int, seeds: list[int]) -> bytes:
        held = sum(group.size for group in self._groups.values())
        if id in self._groups or not seeds or held + len(seeds) > wire.MOST_ENVIRONMENTS:
            raise WireError("not such a group")
        n, hosts = len(seeds), self._count
        group = Group([range(n * h // hosts, n * (h + 1) // hosts) for h in range(hosts)])
        self._groups[id] = group
        asks = {h: wire.numbers([id, *seeds[part.start : part.stop]]) for h, part in enumerate(group.parts) if part}
        return self._insist(Kind.OPEN, asks)

    def _step(self, id: int, rest: bytes) -> bytes:
        group, each = self._groups[id], self._layout.action_bytes
        if len(rest) != group.size * each:
            raise WireError("not one action for each agent")
        head = wire.numbers([id])
        asks = {h: head + rest[part.start * each : part.stop * each] for h, part in enumerate(group.parts) if part}
        answers = self._exchange(Kind.STEP, asks)
        size = self._layout.record_bytes
        blank = bytes(size)
        whole = bytearray()
        for h, part in enumerate(group.parts):
            answer = answers.get(h)
            whole += blank * len(part) if answer is None else answer
        if len(whole) != group.size * size:
            raise EnvironmentFault("environment: a host answered with records of another size")
        for k in group.lost:
            whole[k * size] = 1
        group.lost.clear()
        return bytes(whole)

    def _restart(self, id: int, rest: bytes) -> bytes:
        group = self._groups[id]
        which, seeds = wire.parse_restart(rest, group.size)
        asks: dict[int, bytes] = {}
        for h, part in enumerate(group.parts):
            mine = [(k - part.start, seed) for k, seed in zip(which, seeds, strict=True) if k in part]
            if mine:
                local = wire.numbers([id, len(mine), *(k for k, _ in mine), *(seed for _, seed in mine)])
                asks[h] = local
        records = self._insist(Kind.RESTART, asks)
        group.lost.difference_update(which)
        return records

    def _close(self, id: int) -> None:
        head = wire.numbers([id])
        asks = {h: head for h, part in enumerate(self._groups.pop(id).parts) if part}
        self._exchange(Kind.CLOSE, asks)

    def _insist(self, kind: Kind, asks: dict[int, bytes]) -> bytes:
        """The answers in the order of the hosts, asked again where one was replaced meanwhile."""
        answers: dict[int, bytes] = {}
        while missing := {h: ask for h, ask in asks.items() if h not in answers}:
            found = self._exchange(kind, missing)
            answers |= {h: answer for h, answer in found.items() if answer is not None}
        return b"".join(answers[h] for h in asks)

    # ------------------------------------------------------------ hosts

    def _exchange(self, kind: Kind, asks: dict[int, bytes]) -> dict[int, bytes | None]:
        """Ask several hosts at once; None for those that had to be replaced. Raises EnvironmentFault."""
        for h, ask in asks.items():
            self._hosts[h].send(kind, ask)
        answers: dict[int, bytes | None] = {}
        faults: list[EnvironmentFault] = []  # raised when all have answered: late answers would be taken for others
        heard = dict.fromkeys(asks, time.monotonic())
        while waiting := [h for h in asks if h not in answers]:
            deadline = min(heard[h] for h in waiting) + self._patience
            ready = self._wait({self._hosts[h].connection: h for h in waiting}, deadline)
            restarts = self._restarts
            for h in ready or {min(waiting, key=lambda one: heard[one])}:
                try:
                    done, answer = self._listen(h) if ready else self._lose_patience(h)
                except EnvironmentFault as fault:
                    done, answer = True, None
                    faults.append(fault)
                heard[h] = time.monotonic()
                if done:
                    answers[h] = answer
            if self._restarts > restarts:  # that took its time, and the others could not be heard meanwhile
                heard = dict.fromkeys(asks, time.monotonic())
        if faults:
            raise faults[0]
        return answers

    def _listen(self, h: int) -> tuple[bool, bytes | None]:
        """Whether a host has done with a request, and its answer: none where it had to be replaced."""
        try:
            self._hosts[h].inbox.read()
            answer = self._hear(self._hosts[h])
        except (EOFError, WireError):
            self._revive(h, None)
            return True, None
        return answer is not None, answer

    def _lose_patience(self, h: int) -> tuple[bool, bytes | None]:
        self._revive(h, f"no answer within {self._patience:g} s")
        return True, None

    def _hear(self, host: HostProcess) -> bytes | None:
        """Its answer, if that is whole. Raises EnvironmentFault where its environment raised."""
        while (message := host.inbox.take(wire.LARGEST)) is not None:
            kind, payload = message
            if kind is Kind.ERROR:
                raise EnvironmentFault(f"environment: {payload.decode(errors='replace')}")
            if kind in (Kind.RECORDS, Kind.READY):
                return payload
        return None

    def _await(self, host: HostProcess, seconds: float) -> None:
        """One answer of a host that has just been started. Raises EnvironmentFault where there is none."""
        deadline = time.monotonic() + seconds
        while True:
            if not self._wait({host.connection: 0}, deadline):
                raise EnvironmentFault(f"environment: its process does not start within {seconds:g} s")
            try:
                host.inbox.read()
            except EOFError:
                raise EnvironmentFault(f"environment: its process does not start: {host.end()}") from None
            if self._hear(host) is not None:
                return

    def _revive(self, h: int, reason: str | None) -> None:
        """A new host in the place of one that crashed or hangs, its environments without episodes for now."""
        ended = self._hosts[h].end()
        self._reason = f"environment: {reason or ended}"
        self._restarts += 1
        self._hosts[h] = HostProcess(self._settings)
        self._await(self._hosts[h], START_SECONDS)
        for id, group in self._groups.items():
            if part := group.parts[h]:
                group.lost.update(part)
                self._hosts[h].send(Kind.IDLE, wire.numbers([id, len(part)]))
                self._await(self._hosts[h], self._patience)
        if self._restarts > MOST_RESTARTS:
            raise EnvironmentFault(f"{self._reason}, {self._restarts} times in this training")

    # ------------------------------------------------------------ waiting

    def _wait(self, connections: dict[socket.socket, Any], deadline: float | None, write: bool = False) -> set[Any]:
        """The values of the connections that are ready; empty after the deadline. Raises Gone with the orchestrator."""
        with selectors.PollSelector() as selector:
            selector.register(self._control, selectors.EVENT_READ)
            for connection, value in connections.items():
                selector.register(connection, selectors.EVENT_WRITE if write else selectors.EVENT_READ, value)
            while True:
                timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
                ready = selector.select(timeout)
                if any(key.fileobj is self._control for key, _ in ready):
                    raise Gone  # no new worker comes before the one at hand has ended, so this is the end
                if ready or deadline is not None:
                    return {key.data for key, _ in ready}


def main(arguments: list[str]) -> None:
    control = socket.socket(fileno=int(arguments[0]))
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # pygame opens no window
    Server(control, json.loads(control.recv(1 << 20))).serve()


if __name__ == "__main__":
    main(sys.argv[1:])
