"""The environment server: between a worker, which holds candidate code, and the hosts, which hold environments.

Run as `python -m marlsmith.marl.external.server CONTROL WORKER`, the sockets to the orchestrator and to the
worker, whose requests are answered until it ends. The settings come first on the control socket; through it the
orchestrator hears how the start went, and at the end how all went. The server runs no code but its own: a
worker's bytes are measured and passed on, never unpickled, and what an environment does happens in hosts,
which are killed and replaced when they crash or hang.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
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
"""Of hosts, in all."""
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
        self._inbox = Inbox(self.connection)
        self.send(Kind.SETUP, json.dumps({"source": settings["source"], "layout": settings["layout"]}).encode())

    def send(self, kind: Kind, *payload: bytes) -> None:
        """An idle host reads at once; a dead one is found out by its silence."""
        with contextlib.suppress(OSError):
            wire.send(self.connection, kind, *payload)

    def hear(self) -> bytes | None:
        """Its answer, if that is whole. Raises EnvironmentFault where its environment raised, EOFError at the end."""
        self._inbox.read()
        while (message := self._inbox.take(wire.LARGEST)) is not None:
            kind, payload = message
            if kind is Kind.ERROR:
                raise EnvironmentFault(payload.decode(errors="replace"))
            if kind in (Kind.RECORDS, Kind.READY):
                return payload
        return None

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
    def __init__(self, control: socket.socket, worker: socket.socket, settings: dict[str, Any]) -> None:
        self._control = control
        self._worker = worker
        self._settings = settings
        self._layout = Layout.parse(settings["layout"])
        self._patience: float = settings["source"]["step_seconds"]
        self._hosts: list[HostProcess] = []
        self._groups: dict[int, Group] = {}
        self._restarts = 0
        self._reason = ""

    def serve(self) -> None:
        """Until the worker or the orchestrator has gone, or the environments cannot go on; leaves nothing behind."""
        fault = None
        try:
            self._start()
            self._tell(None)
            self._converse()
        except EnvironmentFault as error:
            fault = str(error)
            with contextlib.suppress(OSError):
                self._worker.settimeout(1.0)
                wire.send(self._worker, Kind.ERROR, fault.encode())
        except (Gone, EOFError, WireError):
            pass  # it has done its work, or it is no honest worker: the orchestrator sees to both
        finally:
            for host in self._hosts:
                host.end()
        self._tell(fault)

    def _start(self) -> None:
        self._hosts += [HostProcess(self._settings) for _ in range(self._settings["hosts"])]
        deadline = time.monotonic() + START_SECONDS
        for host in self._hosts:
            self._await(host, deadline)

    def _tell(self, fault: str | None) -> None:
        message = {"fault": fault, "restarts": self._restarts, "reason": self._reason}
        with contextlib.suppress(OSError):  # without an orchestrator there is nobody to tell
            self._control.send(json.dumps(message).encode())

    def _converse(self) -> None:
        inbox = Inbox(self._worker)
        while True:
            self._wait({self._worker: None}, None)
            inbox.read()
            while (message := inbox.take(self._largest())) is not None:
                self._reply(self._answer(*message))

    def _largest(self) -> int:
        """Bytes of the longest request that can be right."""
        held = sum(group.size for group in self._groups.values())
        return 8 + max(4 * wire.MOST_ENVIRONMENTS, held * max(self._layout.action_bytes, 8))

    def _reply(self, records: bytes) -> None:
        data = memoryview(HEADER.pack(wire.MAGIC, Kind.RECORDS, len(records)) + records)
        while data:
            try:
                data = data[self._worker.send(data, socket.MSG_DONTWAIT) :]
            except BlockingIOError:
                self._wait({self._worker: None}, None, write=True)
            except OSError:
                raise Gone from None

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
        if id in self._groups or not seeds or held + len(seeds) > self._settings["most"]:
            raise WireError("not such a group")
        n, hosts = len(seeds), len(self._hosts)
        group = Group([range(n * h // hosts, n * (h + 1) // hosts) for h in range(hosts)])
        self._groups[id] = group
        asks = {h: wire.numbers([id, *seeds[part.start : part.stop]]) for h, part in enumerate(group.parts) if part}
        records = self._insist(Kind.OPEN, asks)
        group.lost.clear()
        return records

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
            raise EnvironmentFault("a host answered with records of another size")
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
        heard = dict.fromkeys(asks, time.monotonic())
        while waiting := [h for h in asks if h not in answers]:
            deadline = min(heard[h] for h in waiting) + self._patience
            ready = self._wait({self._hosts[h].connection: h for h in waiting}, deadline)
            lost = {} if ready else {min(waiting, key=heard.__getitem__): f"no answer within {self._patience:g} s"}
            for h in ready:
                heard[h] = time.monotonic()
                try:
                    answer = self._hosts[h].hear()
                except (EOFError, WireError):
                    lost[h] = ""
                else:
                    if answer is not None:
                        answers[h] = answer
            for h, reason in lost.items():
                self._revive(h, reason)
                answers[h] = None
                heard = dict.fromkeys(asks, time.monotonic())  # the others could not be heard meanwhile
        return answers

    def _await(self, host: HostProcess, deadline: float) -> None:
        """One answer of a host that has just been started. Raises EnvironmentFault where there is none."""
        while True:
            if not self._wait({host.connection: 0}, deadline):
                raise EnvironmentFault("its process does not start in time")
            try:
                if host.hear() is not None:
                    return
            except (EOFError, WireError):
                raise EnvironmentFault(f"its process does not start: {host.end()}") from None

    def _revive(self, h: int, reason: str) -> None:
        """A new host in the place of one that crashed or hangs, its environments without episodes for now."""
        ended = self._hosts[h].end()
        self._reason = reason or ended
        self._restarts += 1
        if self._restarts > MOST_RESTARTS:
            raise EnvironmentFault(f"{self._reason}, {self._restarts} times in this training")
        self._hosts[h] = HostProcess(self._settings)
        self._await(self._hosts[h], time.monotonic() + START_SECONDS)
        for id, group in self._groups.items():
            if part := group.parts[h]:
                group.lost.update(part)
                self._exchange(Kind.IDLE, {h: wire.numbers([id, len(part)])})

    # ------------------------------------------------------------ waiting

    def _wait(self, connections: dict[socket.socket, Any], deadline: float | None, write: bool = False) -> set[Any]:
        """The values of the connections that are ready; empty after the deadline. Raises Gone."""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._worker, 0)  # that it has hung up is told all the same
        values: dict[int, Any] = {}
        for connection, value in connections.items():
            poll.register(connection, select.POLLOUT if write else select.POLLIN)
            values[connection.fileno()] = value
        ready = dict(poll.poll(None if deadline is None else 1000 * max(0.0, deadline - time.monotonic())))
        if not ready.keys() <= values.keys():
            raise Gone  # the orchestrator says nothing more, nor does a worker before it is answered
        return {values[fd] for fd in ready}


def main(arguments: list[str]) -> None:
    control, worker = (socket.socket(fileno=int(number)) for number in arguments)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # pygame opens no window
    Server(control, worker, json.loads(control.recv(1 << 20))).serve()


if __name__ == "__main__":
    main(sys.argv[1:])
