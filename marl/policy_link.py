"""Between a simulator and the policy that it plays with: observations one way, actions the other.

The policy's process has run candidate code, so the simulator takes nothing from it but as many bytes as there
are actions, and of those only such as may be chosen. Seeds, horizon, states and metrics never cross.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from marlsmith.marl.external.wire import exactly
from marlsmith.schemas import TaskCard

BEAT_SECONDS = 1.0
FIRST, LATER = b"\x01", b"\x00"
"""Whether the observations begin new episodes."""


class PolicyFault(Exception):
    """The policy's process ended early, or chose what cannot be chosen."""


@dataclass(frozen=True)
class Shapes:
    """What one message holds: `members` x `environments` teams of a task."""

    members: int
    environments: int
    agents: int
    observation: int
    actions: int
    continuous: bool

    @classmethod
    def of(cls, card: TaskCard, members: int, environments: int) -> Shapes:
        return cls(
            members,
            environments,
            card.agents,
            card.observation_size,
            card.actions.size,
            card.actions.kind == "continuous",
        )

    @property
    def teams(self) -> tuple[int, int, int]:
        return self.members, self.environments, self.agents

    @property
    def action(self) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
        """Shape and type of all actions: indices [P, E, N], or components [P, E, N, A]."""
        if self.continuous:
            return (*self.teams, self.actions), np.dtype("<f4")
        return self.teams, np.dtype("<i4")


class RemotePolicy:
    """A simulator's end. It asks for actions as it would ask any policy; what the policy remembers stays there."""

    def __init__(self, connection: socket.socket, shapes: Shapes) -> None:
        self._connection = connection
        self._shapes = shapes
        self._begins = FIRST

    def fresh_memory(self, environments: int) -> None:
        self._begins = FIRST

    def act_greedily(self, observation: Tensor, available: Tensor | None, memory: Tensor | None) -> tuple[Tensor, None]:
        """Actions for [P, E, N, D]. Raises PolicyFault."""
        shapes = self._shapes
        may = torch.ones(*shapes.teams, shapes.actions, dtype=torch.bool) if available is None else available
        try:
            self._connection.sendall(self._begins + _bytes(observation, "<f4") + _bytes(may, "u1"))
            shape, kind = shapes.action
            answer = exactly(self._connection, int(np.prod(shape)) * kind.itemsize)
        except (OSError, EOFError):
            raise PolicyFault("the policy ended before its episodes did") from None
        self._begins = LATER
        action = _tensor(answer, shape, kind)
        return (_finite(action) if shapes.continuous else _chosen(action.long(), may)), None


def observations(
    connection: socket.socket, shapes: Shapes, beat: Callable[[], None] = lambda: None
) -> Iterator[tuple[bool, Tensor, Tensor]]:
    """A policy's end: whether new episodes begin, observations [P, E, N, D], and which actions may be chosen.

    `beat` is called once a second while the simulator takes its time: environments of others may be slow.
    """
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    teams = shapes.teams
    seen, may = (*teams, shapes.observation), (*teams, shapes.actions)
    size = 1 + 4 * int(np.prod(seen)) + int(np.prod(may))
    while True:
        try:
            while not poll.poll(1000 * BEAT_SECONDS):
                beat()
            message = exactly(connection, size)
        except (OSError, EOFError):  # the simulator has what it wanted, or says itself what went wrong
            return
        split = 1 + 4 * int(np.prod(seen))
        yield (
            message[:1] == FIRST,
            _tensor(message[1:split], seen, np.dtype("<f4")),
            _tensor(message[split:], may, np.dtype("u1")).bool(),
        )


def answer(connection: socket.socket, action: Tensor, shapes: Shapes) -> None:
    """A policy's actions for the last observations."""
    _, kind = shapes.action
    connection.sendall(_bytes(action, kind.str))


def _chosen(action: Tensor, may: Tensor) -> Tensor:
    inside = (action >= 0) & (action < may.shape[-1])
    if not bool((inside & may.gather(-1, action.clamp(0, may.shape[-1] - 1).unsqueeze(-1)).squeeze(-1)).all()):
        raise PolicyFault("the policy chose an action that cannot be chosen")
    return action


def _finite(action: Tensor) -> Tensor:
    if not bool(torch.isfinite(action).all()):
        raise PolicyFault("the policy chose an action that is not finite")
    return action


def _bytes(values: Tensor, kind: str) -> bytes:
    return values.detach().cpu().numpy().astype(kind, copy=False).tobytes()


def _tensor(data: bytes, shape: tuple[int, ...], kind: np.dtype[np.generic]) -> Tensor:
    return torch.from_numpy(np.frombuffer(data, kind).reshape(shape).copy()).to(torch.get_default_device())
