"""Messages between a worker, the environment server and its hosts: kind, length, payload; never unpickled.

Arrays travel as raw little-endian bytes, one record for each environment (`Layout.record`). A worker runs
code that nobody has read, so the server takes nothing from it that is not exactly as long as it must be.
"""

from __future__ import annotations

import itertools
import math
import socket
import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Any

HEADER = struct.Struct("<4sII")
MAGIC = b"mse1"
NUMBER = struct.Struct("<I")
MOST_ENVIRONMENTS = 1 << 16
"""That one connection may hold open."""
LARGEST = 1 << 30
SEEDS = 1 << 31
"""Seeds of episodes lie below."""

Extras = tuple[tuple[str, tuple[int, ...]], ...]
"""Further numbers of an environment after a step: names and shapes."""


class WireError(ValueError):
    """The other side sent what no honest one sends."""


class EnvironmentFault(Exception):
    """The environments cannot go on: the task's fault or the machine's, not the candidate's."""


class Kind(IntEnum):
    SETUP = 1  # server to host: JSON, what to build
    READY = 2  # host to server: the first environment stands
    OPEN = 3  # group, seeds
    IDLE = 4  # server to host: group, count; environments without an episode
    STEP = 5  # group, actions
    RESTART = 6  # group, count, which, seeds
    CLOSE = 7  # group
    RECORDS = 8  # the answer to all of these
    BEAT = 9  # host to server: at work
    ERROR = 10  # text


@dataclass(frozen=True)
class Layout:
    """Sizes of one environment's record; `extras` are further numbers by name, with their shapes."""

    agents: int
    observation: int
    actions: int
    continuous: bool
    extras: Extras = ()

    @classmethod
    def parse(cls, plain: dict[str, Any]) -> Layout:
        extras = tuple((name, tuple(shape)) for name, shape in plain["extras"])
        return cls(**{**plain, "extras": extras})

    def plain(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def width(self) -> int:
        """Numbers of all extras."""
        return sum(math.prod(shape) for _, shape in self.extras)

    @property
    def record(self) -> list[tuple[str, str, tuple[int, ...]]]:
        """An environment after a step, as the description of a numpy dtype without padding."""
        return [
            ("lost", "u1", ()),  # first: the server writes it
            ("terminated", "u1", ()),
            ("truncated", "u1", ()),
            ("active", "u1", (self.agents,)),
            ("available", "u1", (self.agents, 0 if self.continuous else self.actions)),
            ("reward", "<f4", (self.agents,)),
            ("observation", "<f4", (self.agents, self.observation)),
            ("extra", "<f4", (self.width,)),
        ]

    @property
    def action(self) -> tuple[str, tuple[int, ...]]:
        """One environment's actions: dtype and shape."""
        return ("<f4", (self.agents, self.actions)) if self.continuous else ("<i4", (self.agents,))

    @property
    def record_bytes(self) -> int:
        return sum(int(kind[-1]) * math.prod(shape) for _, kind, shape in self.record)

    @property
    def action_bytes(self) -> int:
        kind, shape = self.action
        return int(kind[-1]) * math.prod(shape)


# ---------------------------------------------------------------- streams


def send(connection: socket.socket, kind: Kind, *payload: bytes) -> None:
    body = b"".join(payload)
    if len(body) > LARGEST:
        raise WireError(f"{len(body)} bytes in one message; at most {LARGEST} are allowed")
    connection.sendall(HEADER.pack(MAGIC, kind, len(body)) + body)


def receive(connection: socket.socket) -> tuple[Kind, bytes]:
    """The next message, blocking. Raises EOFError at the end of the stream."""
    kind, length = parse_header(exactly(connection, HEADER.size), LARGEST)
    return kind, exactly(connection, length)


def parse_header(data: bytes, most: int) -> tuple[Kind, int]:
    magic, number, length = HEADER.unpack(data)
    if magic != MAGIC or number not in Kind.__members__.values() or length > most:
        raise WireError("not a message")
    return Kind(number), length


def exactly(connection: socket.socket, length: int) -> bytes:
    """The next `length` bytes, blocking. Raises EOFError where the stream ends before."""
    data = bytearray(length)
    view, have = memoryview(data), 0
    while have < length:
        got = connection.recv_into(view[have:])
        if not got:
            raise EOFError
        have += got
    return bytes(data)


# ---------------------------------------------------------------- payloads


def numbers(values: Sequence[int]) -> bytes:
    return struct.pack(f"<{len(values)}I", *values)


def parse_numbers(payload: bytes) -> list[int]:
    if len(payload) % NUMBER.size:
        raise WireError("not whole numbers")
    return list(struct.unpack(f"<{len(payload) // NUMBER.size}I", payload))


def parse_group(payload: bytes) -> tuple[int, bytes]:
    """The group that a payload begins with, and the rest."""
    if len(payload) < NUMBER.size:
        raise WireError("no group")
    return NUMBER.unpack_from(payload)[0], payload[NUMBER.size :]


def parse_restart(rest: bytes, size: int) -> tuple[list[int], list[int]]:
    """Which environments of `size`, ascending, and a seed for each."""
    found = parse_numbers(rest)
    count = found[0] if found else 0
    if len(found) != 1 + 2 * count:
        raise WireError("a restart of another length")
    which, seeds = found[1 : 1 + count], found[1 + count :]
    if any(a >= b for a, b in itertools.pairwise(which)) or any(one >= size for one in which):
        raise WireError("a restart of environments that are not there")
    return which, seeds
