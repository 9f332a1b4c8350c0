"""Small environments with every trait that a task must bear. Their own processes import this file."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from pettingzoo import ParallelEnv


class Uneven(ParallelEnv):  # type: ignore[misc]
    """Two agents that differ in everything. The first leaves after two steps; the other ends the episode."""

    metadata = {"name": "uneven"}  # noqa: RUF012

    def __init__(self, length: int = 5, max_cycles: int = 8, truncate: bool = False) -> None:
        self.possible_agents = ["short", "long"]
        self.length, self.max_cycles, self.truncate = length, max_cycles, truncate

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        if agent == "short":
            return spaces.Dict(
                {"observation": spaces.Box(-9, 9, (2,), np.float32), "action_mask": spaces.MultiBinary(3)}
            )
        return spaces.Tuple((spaces.Discrete(3), spaces.Box(-9, 9, (2, 1), np.float32)))

    def action_space(self, agent: str) -> spaces.Space[Any]:
        return spaces.Discrete(3) if agent == "short" else spaces.Discrete(4, start=1)

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        self.agents = list(self.possible_agents)
        self.clock, self.seed = 0, (seed or 0) % 7
        self.seen: list[dict[str, int]] = []
        return self._observe(), self._infos()

    def _observe(self) -> dict[str, Any]:
        own = np.array([self.seed, self.clock], np.float32)
        both = {
            "short": {"observation": own, "action_mask": np.array([1, 0, 1], np.int8)},
            "long": (self.clock % 3, own.reshape(2, 1)),
        }
        return {agent: both[agent] for agent in self.agents}

    def _infos(self) -> dict[str, Any]:
        return {agent: {"caught": self.clock * 2.0, "place": [self.clock, 1.0]} for agent in self.agents}

    def state(self) -> Any:
        if not self.agents:
            raise RuntimeError("nobody is here")
        return np.array([self.clock, len(self.agents)])

    def step(self, actions: dict[str, int]) -> Any:
        assert set(actions) == set(self.agents)
        assert actions.get("long", 1) in range(1, 5)
        self.clock += 1
        self.seen.append(actions)
        observation, infos = self._observe(), self._infos()
        over = {agent: self.clock >= (2 if agent == "short" else self.length) for agent in self.agents}
        never = dict.fromkeys(over, False)
        reward = {agent: 1.0 if agent == "short" else 0.5 for agent in self.agents}
        self.agents = [agent for agent in self.agents if not over[agent]]
        return (observation, reward, never, over, infos) if self.truncate else (observation, reward, over, never, infos)


class Reacher(ParallelEnv):  # type: ignore[misc]
    """Two points in a plane that are to go to two others; actions are bounded boxes of different bounds."""

    metadata = {"name": "reacher"}  # noqa: RUF012
    max_cycles = 10
    last = 10

    def __init__(self) -> None:
        self.possible_agents = [0, 1]

    def observation_space(self, agent: int) -> spaces.Space[Any]:
        return spaces.Box(-np.inf, np.inf, (6,), np.float32)

    def action_space(self, agent: int) -> spaces.Space[Any]:
        return spaces.Box(np.array([-1.0, 0.0], np.float32), np.array([1.0, 3.0], np.float32))

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[dict[int, Any], dict[int, Any]]:
        draws = np.random.default_rng(seed)
        self.agents = [0, 1]
        self.place, self.targets = draws.uniform(-1, 1, (2, 2)), draws.uniform(-1, 1, (2, 2))
        self.clock = 0
        return self._observe(), {0: {}, 1: {}}

    def _observe(self) -> dict[int, Any]:
        return {i: np.concatenate((self.place[i], self.targets.ravel())).astype(np.float32) for i in self.agents}

    def step(self, actions: dict[int, Any]) -> Any:
        for i, action in actions.items():
            assert self.action_space(i).contains(action), action
            self.place[i] += 0.1 * (action - [0.0, 1.5])
        self.clock += 1
        distance = np.linalg.norm(self.place - self.targets, axis=-1)
        observation, reward = self._observe(), {i: -float(distance[i]) for i in self.agents}
        end = dict.fromkeys(self.agents, self.clock >= self.last)
        never = dict.fromkeys(end, False)
        if self.clock >= self.last:
            self.agents = []
        return observation, reward, end, never, {0: {}, 1: {}}


def closeness(environment: Reacher, infos: Any) -> float:
    """A score from the environment itself."""
    return -float(np.linalg.norm(environment.place - environment.targets, axis=-1).mean())


class Rounds(gymnasium.Env):  # type: ignore[misc]
    """Gymnasium's API with a Tuple entry per agent, a list of rewards, and an end that hides the time limit."""

    def __init__(self, win_at: int = 99, max_steps: int = 6) -> None:
        self.win_at, self.max_steps = win_at, max_steps
        self.observation_space = spaces.Tuple((spaces.Box(0, 9, (2,), np.float32),) * 2)
        self.action_space = spaces.Tuple((spaces.Discrete(2),) * 2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self.clock = 0
        return self._observe(), {}

    def _observe(self) -> Any:
        return (np.array([self.clock, 0], np.float32), np.array([self.clock, 1], np.float32))

    def step(self, action: Any) -> Any:
        assert len(action) == 2
        self.clock += 1
        done = self.clock >= min(self.win_at, self.max_steps)
        return self._observe(), [1.0, float(action[1])], done, False, {"progress": self.clock / 10}


class Faulty(Rounds):
    """Fails in step 3 while a flag lies there, as its text says; with `once`, the first takes it away.

    With the text `reset` it fails there instead. None can be made while `FLAG.broken` exists.
    """

    def __init__(self, flag: str, once: bool = False) -> None:
        super().__init__()
        self.flag, self.once = Path(flag), once
        if self.flag.with_suffix(".broken").exists():
            raise RuntimeError("out of cables")

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        if self.flag.exists() and self.flag.read_text() == "reset" and self._how() == "reset":
            os._exit(5)
        return super().reset(seed=seed)

    def _how(self) -> str:
        """One of several processes takes the flag."""
        try:
            return (self.flag.rename(self.flag.with_suffix(".taken")) if self.once else self.flag).read_text()
        except FileNotFoundError:
            return "not at all"

    def step(self, action: Any) -> Any:
        if self.clock == 2 and self.flag.exists():
            match self._how():
                case "raise":
                    raise ValueError("the cable broke\nand more")
                case "exit":
                    os._exit(7)
                case "segfault":
                    os.kill(os.getpid(), signal.SIGSEGV)
                case "hang":
                    time.sleep(1000)
                case "nan":
                    return self._observe(), [float("nan"), 0.0], False, False, {}
        return super().step(action)


class Pictured(Uneven):
    """Its global state is a picture, and it starts a program that outlives it."""

    def __init__(self, note: str) -> None:
        super().__init__()
        Path(note).write_text(str(subprocess.Popen(["sleep", "1000"]).pid))

    def state(self) -> Any:
        return np.zeros((200, 100, 3), np.uint8)


class Boundless(Reacher):
    def action_space(self, agent: int) -> spaces.Space[Any]:
        return spaces.Box(-np.inf, np.inf, (2,), np.float32)


class Mixed(Reacher):
    def action_space(self, agent: int) -> spaces.Space[Any]:
        return spaces.Discrete(3) if agent else spaces.Box(-1, 1, (2,), np.float32)


class Endless(Reacher):
    max_cycles = None  # type: ignore[assignment]
    last = 10**9


class Many(Reacher):
    def action_space(self, agent: int) -> spaces.Space[Any]:
        return spaces.MultiDiscrete([2, 3])


class Crashing(Reacher):
    def __init__(self) -> None:
        os._exit(9)


class Alone(gymnasium.Env):  # type: ignore[misc]
    observation_space = spaces.Box(0, 1, (2,))
    action_space = spaces.Discrete(2)
