"""The world as mpe2's scenarios see it, for reward functions in LERO's published style.

`agent_reward(self, agent, world)` and `global_reward(self, world)` answer with one number for one environment,
so they are called row by row: slow, and read-only. Every array is a fresh copy; what a function does to it
stays with that function.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MethodType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from marlsmith.marl.signals.view import StateView
from marlsmith.marl.tasks.mpe import CONTACT_FORCE, CONTACT_MARGIN, DAMPING, TIME_STEP
from marlsmith.schemas import SignalError, TaskCard

FIELDS = ("agent_pos", "agent_vel", "landmark_pos")


@dataclass(frozen=True)
class Kind:
    """What a particle task's world has besides the state: mpe2 1.1's `make_world`."""

    names: tuple[str, ...]
    """Of the agents; beyond them they are numbered."""
    collide: bool
    silent: frozenset[int]
    still: frozenset[int]
    words: int
    told: Mapping[int, int] | None = None
    """Who sees whose target: `goal_a` of the first is the second, and its `goal_b` where that one must go."""


ALL, NONE = frozenset(range(100)), frozenset[int]()
KINDS = {
    "mpe/simple_spread": Kind((), collide=True, silent=ALL, still=NONE, words=2),
    "mpe/simple_reference": Kind((), collide=False, silent=NONE, still=NONE, words=10, told={0: 1, 1: 0}),
    "mpe/simple_speaker_listener": Kind(
        ("speaker_0", "listener_0"), collide=False, silent=frozenset({1}), still=frozenset({0}), words=3, told={0: 1}
    ),
}


def find_kind(card: TaskCard) -> Kind:
    """The world of a task. Raises SignalError where it is no particle world, with the form to write instead."""
    name = card.name.partition("?")[0].removesuffix("_sparse")
    if name not in KINDS or not {field.name for field in card.fields}.issuperset(FIELDS):
        raise SignalError(
            f"line 1: {card.name} has no world objects, which only the mpe tasks have: write agent_reward(state) and "
            "global_reward(state), with tensors"
        )
    return KINDS[name]


# ---------------------------------------------------------------- what candidate code holds in its hands


class EntityState:
    __slots__ = ("_c", "_pos", "_vel")

    def __init__(self, pos: np.ndarray, vel: np.ndarray, c: np.ndarray) -> None:
        self._pos, self._vel, self._c = pos, vel, c

    @property
    def p_pos(self) -> np.ndarray:
        return self._pos.copy()

    @property
    def p_vel(self) -> np.ndarray:
        return self._vel.copy()

    @property
    def c(self) -> np.ndarray:
        return self._c.copy()


class Body:
    """An agent or a landmark."""

    __slots__ = ("collide", "goal_a", "goal_b", "movable", "name", "silent", "size", "state")

    goal_a: Body | None
    goal_b: Body | None

    def __init__(self, name: str, size: float, collide: bool, movable: bool, silent: bool, state: EntityState) -> None:
        self.name, self.size, self.collide, self.movable, self.silent = name, size, collide, movable, silent
        self.state = state
        self.goal_a = self.goal_b = None


class World:
    __slots__ = ("_agents", "_landmarks", "dim_c")

    dim_p = 2
    dt, damping = TIME_STEP, DAMPING
    contact_force, contact_margin = CONTACT_FORCE, CONTACT_MARGIN

    def __init__(self, agents: list[Body], landmarks: list[Body], dim_c: int) -> None:
        self._agents, self._landmarks, self.dim_c = agents, landmarks, dim_c

    @property
    def agents(self) -> list[Body]:
        return list(self._agents)

    policy_agents = agents

    @property
    def landmarks(self) -> list[Body]:
        return list(self._landmarks)

    @property
    def entities(self) -> list[Body]:
        return [*self._agents, *self._landmarks]


class Scenario:
    """What a function knows as `self`: `is_collision`, and the module's own functions that take a `self`."""

    def __init__(self, functions: Mapping[str, Callable[..., Any]]) -> None:
        for name, function in functions.items():
            setattr(self, name, MethodType(function, self))

    @staticmethod
    def is_collision(agent1: Body, agent2: Body) -> bool:
        apart = agent1.state._pos - agent2.state._pos
        return bool(np.sqrt(np.sum(np.square(apart))) < agent1.size + agent2.size)


# ---------------------------------------------------------------- from a state to its worlds


def worlds(state: StateView, card: TaskCard) -> list[World]:
    """One world for each row of the state, converted once and cut row by row."""
    kind = find_kind(card)
    radius = {entity.name: entity.radius for entity in card.entities}
    here, velocity, there = (_numbers(getattr(state, name)) for name in FIELDS)
    rows, agents = here.shape[:2]
    spoken = _numbers(state.message) if hasattr(state, "message") else np.zeros((rows, agents, kind.words))
    goals = state.goal.tolist() if kind.told else None
    still, unspoken = np.zeros(2), np.zeros(kind.words)
    about = [
        (kind.names[i] if kind.names else f"agent_{i}", radius["agent"], kind.collide, i not in kind.still,
         i in kind.silent)
        for i in range(agents)
    ]  # fmt: skip
    marks = [(f"landmark {j}", radius["landmark"], False, False, False) for j in range(there.shape[1])]
    found = []
    for row in range(rows):
        bodies = [
            Body(*facts, EntityState(pos, vel, c))
            for facts, pos, vel, c in zip(about, here[row], velocity[row], spoken[row], strict=True)
        ]
        landmarks = [
            Body(*facts, EntityState(pos, still, unspoken)) for facts, pos in zip(marks, there[row], strict=True)
        ]
        if goals is not None and kind.told is not None:
            for seer, mover in kind.told.items():
                bodies[seer].goal_a = bodies[mover]
                bodies[seer].goal_b = landmarks[goals[row][mover]]
        found.append(World(bodies, landmarks, kind.words))
    return found


def _numbers(x: Tensor) -> np.ndarray:
    return x.detach().cpu().double().numpy()


# ---------------------------------------------------------------- from numbers to a reward


def for_each_agent(fresh: Callable[[], Callable[..., Any]], card: TaskCard) -> Callable[[StateView], Tensor]:
    """`function(agent, world)` as a function of the state, [B, N]; `fresh` makes the function anew for each row."""

    def agent_reward(state: StateView) -> Tensor:
        values = []
        for world in worlds(state, card):
            function = fresh()
            values.append([_number("agent_reward", function(agent, world)) for agent in world.agents])
        return _reward(values, state)

    return agent_reward


def for_each_world(fresh: Callable[[], Callable[..., Any]], card: TaskCard) -> Callable[[StateView], Tensor]:
    """`function(world)` as a function of the state, [B]."""

    def global_reward(state: StateView) -> Tensor:
        return _reward([_number("global_reward", fresh()(world)) for world in worlds(state, card)], state)

    return global_reward


def _number(name: str, value: object) -> float:
    if type(value) is float:
        return value
    single = isinstance(value, Tensor | np.ndarray) and value.ndim == 0 and value.dtype not in COMPLEX
    if single or isinstance(value, int | float | np.floating | np.integer | np.bool_):
        try:
            return float(value)  # type: ignore[arg-type]
        except OverflowError:
            return math.inf
    shape = f" of shape {list(value.shape)}" if isinstance(value, Tensor | np.ndarray) else ""
    given = "an agent and its world" if name == "agent_reward" else "a world"
    raise SignalError(
        f"{name} returned {type(value).__name__}{shape} for {given}: return one number, for instance float(reward)",
        "dynamic",
    )


COMPLEX = (torch.complex64, torch.complex128, np.dtype("complex64"), np.dtype("complex128"), np.dtype("O"))


def _reward(values: list[Any], state: StateView) -> Tensor:
    return torch.tensor(values, dtype=torch.float32, device=state.reward.device)
