"""What is asked of a worker, what it may use, and what can come of it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from marlsmith.marl.workers.failures import MESSAGE_LIMIT
from marlsmith.schemas import FailureStage, printable

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
    """A job that has no result, and why. The message may quote the candidate: untrusted, printable.

    `line`: where the candidate was when its time was up. That is chance, and no part of the message.
    """

    def __init__(self, stage: FailureStage, message: str, line: int | None = None) -> None:
        super().__init__(printable(message, MESSAGE_LIMIT))
        self.stage: FailureStage = stage
        self.line = line
        self.message = str(self)


@dataclass(frozen=True)
class Request:
    message: bytes
    tensors: bytes | None
    limits: Limits
    on_progress: Callable[[dict[str, Any]], None] | None
    connect: Connect | None
