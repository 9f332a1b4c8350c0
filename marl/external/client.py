"""A worker's end of the connection to the environment server. It only reads and writes on one descriptor."""

from __future__ import annotations

import contextlib
import itertools
import select
import socket
import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from marlsmith.marl.external import wire
from marlsmith.marl.external.wire import EnvironmentFault, Kind, Layout

BEAT_SECONDS = 1.0


class Channel:
    """Requests to an environment server, one at a time. `beat` is called about once a second while they go on."""

    def __init__(self, connection: socket.socket, beat: Callable[[], None] = lambda: None) -> None:
        self._connection = connection
        self._beat = beat
        self._beaten = time.monotonic()
        self._groups = itertools.count()
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)

    def open(self, layout: Layout, seeds: Sequence[int]) -> tuple[int, NDArray[np.void]]:
        """Fresh environments, one per seed: their group, and their records [n]. Raises EnvironmentFault."""
        group = next(self._groups)
        return group, self._ask(layout, Kind.OPEN, wire.numbers([group, *seeds]))

    def step(self, layout: Layout, group: int, actions: bytes) -> NDArray[np.void]:
        """Records [n] after a step of the whole group. Raises EnvironmentFault."""
        return self._ask(layout, Kind.STEP, wire.numbers([group]), actions)

    def restart(self, layout: Layout, group: int, which: Sequence[int], seeds: Sequence[int]) -> NDArray[np.void]:
        """Records of new episodes in some environments, ascending. Raises EnvironmentFault."""
        return self._ask(layout, Kind.RESTART, wire.numbers([group, len(which), *which, *seeds]))

    def close_group(self, layout: Layout, group: int) -> None:
        with contextlib.suppress(EnvironmentFault):
            self._ask(layout, Kind.CLOSE, wire.numbers([group]))

    def close(self) -> None:
        self._connection.close()

    def _ask(self, layout: Layout, kind: Kind, *payload: bytes) -> NDArray[np.void]:
        try:
            wire.send(self._connection, kind, *payload)
            while not self._poll.poll(1000 * BEAT_SECONDS):
                self._sign_of_life()
            self._sign_of_life()
            answered, records = wire.receive(self._connection)
        except (OSError, EOFError):
            raise EnvironmentFault("its server has ended") from None
        if answered is Kind.ERROR:
            raise EnvironmentFault(records.decode(errors="replace"))
        return np.frombuffer(records, np.dtype(layout.record))

    def _sign_of_life(self) -> None:
        if (now := time.monotonic()) - self._beaten >= BEAT_SECONDS:
            self._beaten = now
            self._beat()
