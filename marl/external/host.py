"""A process that holds environments and steps them one after the other, for the environment server.

Run as `python -m marlsmith.marl.external.host FD PARENT`: the socket to the server, and the server's process
id, with which this process dies.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import sys
import time
import warnings
from dataclasses import dataclass

import numpy as np

from marlsmith.marl.external import wire
from marlsmith.marl.external.adapt import Adapter, Array, in_one_line
from marlsmith.marl.external.source import Source
from marlsmith.marl.external.wire import Kind, Layout

PR_SET_PDEATHSIG = 1
BEAT_SECONDS = 0.5


@dataclass
class Group:
    adapters: list[Adapter]
    records: Array  # [n], dtype Layout.record


class Host:
    def __init__(self, connection: socket.socket, source: Source, layout: Layout) -> None:
        self._connection = connection
        self._source = source
        self._layout = layout
        self._record = np.dtype(layout.record)
        self._groups: dict[int, Group] = {}
        self._spare: Adapter | None = Adapter(source, layout.extras)
        if self._spare.layout() != layout:
            raise RuntimeError(f"its sizes were {layout} and are now {self._spare.layout()}")
        self._spoke = time.monotonic()

    def serve(self) -> None:
        """Until the server has gone."""
        wire.send(self._connection, Kind.READY)
        while True:
            kind, payload = wire.receive(self._connection)
            group, rest = wire.parse_group(payload)
            self._spoke = time.monotonic()
            try:
                records = self._answer(kind, group, rest)
            except Exception as error:
                wire.send(self._connection, Kind.ERROR, in_one_line(error).encode())
            else:
                wire.send(self._connection, Kind.RECORDS, records)

    def _answer(self, kind: Kind, id: int, rest: bytes) -> bytes:
        if kind is Kind.OPEN:
            seeds = wire.parse_numbers(rest)
            group = self._make(id, len(seeds))
            for k, seed in enumerate(seeds):
                group.adapters[k].reset(seed, group.records[k])
                self._beat()
            return self._checked(group.records)
        if kind is Kind.IDLE:
            return self._make(id, wire.parse_numbers(rest)[0]).records.tobytes()
        group = self._groups[id]
        if kind is Kind.STEP:
            dtype, shape = self._layout.action
            actions = np.frombuffer(rest, dtype).reshape(len(group.adapters), *shape)
            for adapter, action, row in zip(group.adapters, actions, group.records, strict=True):
                adapter.step(action, row)
                self._beat()
            return self._checked(group.records)
        if kind is Kind.RESTART:
            which, seeds = wire.parse_restart(rest, len(group.adapters))
            for k, seed in zip(which, seeds, strict=True):
                group.adapters[k].reset(seed, group.records[k])
                self._beat()
            return self._checked(group.records[which])
        del self._groups[id]
        for adapter in group.adapters:
            with contextlib.suppress(Exception):  # it has done its work
                adapter.close()
        return b""

    def _make(self, id: int, count: int) -> Group:
        """Fresh objects: in some environments `reset(seed)` depends on the episode before."""
        group = Group([], np.zeros(count, self._record))
        group.records["available"] = 1
        self._groups[id] = group
        for _ in range(count):
            group.adapters.append(self._spare or Adapter(self._source, self._layout.extras))
            self._spare = None
            self._beat()
        return group

    def _checked(self, records: Array) -> bytes:
        for name in ("observation", "reward", "extra"):
            if not np.isfinite(records[name]).all():
                raise ValueError(f"the {name} holds NaN or infinity")
        return records.tobytes()

    def _beat(self) -> None:
        now = time.monotonic()
        if now - self._spoke > BEAT_SECONDS:
            self._spoke = now
            wire.send(self._connection, Kind.BEAT)


def main(arguments: list[str]) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != int(arguments[1]):  # the server died before the line above
        return
    warnings.simplefilter("ignore")
    connection = socket.socket(fileno=int(arguments[0]))
    with contextlib.suppress(EOFError, ConnectionError):
        _, payload = wire.receive(connection)
        setup = json.loads(payload)
        try:
            host = Host(connection, Source.model_validate(setup["source"]), Layout.parse(setup["layout"]))
        except Exception as error:
            wire.send(connection, Kind.ERROR, in_one_line(error).encode())
            return
        host.serve()


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    finally:
        os._exit(0)  # without the farewells of what the environments have loaded
