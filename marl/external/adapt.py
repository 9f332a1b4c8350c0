"""One shape for the environments of others: PettingZoo's ParallelEnv, and gymnasium's with one entry per agent.

Runs in the environment host, beside the code of others and far from candidate code.
"""

from __future__ import annotations

import importlib
import inspect
import math
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from marlsmith.marl.external.source import Source
from marlsmith.marl.external.wire import Extras, Layout

Array = NDArray[Any]
LIMITS = ("max_cycles", "max_steps", "_max_episode_steps", "max_episode_steps", "episode_limit")
"""Names by which environments call their own time limit."""
MASKS = ("action_mask", "avail_actions")
LARGEST_STATE = 10_000
"""Numbers of a global state; those that are pictures are left out."""
EXTRAS_OF_PIP = {"rware": "rware", "lbforaging": "lbf", "Box2D": "sisl", "pymunk": "sisl", "pygame": "sisl"}


class Unfit(Exception):
    """This environment cannot be a task, or not like this: one sentence for the user."""


def in_one_line(error: BaseException) -> str:
    """Its type and the first line of what it says."""
    return traceback.format_exception_only(error)[-1].strip().splitlines()[0][:1000]


# ---------------------------------------------------------------- building


def build(source: Source) -> Any:
    """The environment that a source names. Raises Unfit where there is none."""
    for path in source.paths:
        if path not in sys.path:
            sys.path.append(path)
    kind, _, target = source.environment.partition(":")
    try:
        return _gymnasium(target, source) if kind == "gymnasium" else _factory(target, source)
    except ImportError as error:
        raise Unfit(_missing("it", error)) from error


def _factory(target: str, source: Source) -> Any:
    made = load(target)
    if not callable(made):
        raise Unfit(f"{target} is no function that makes an environment")
    options = dict(source.options)
    if "horizon" not in _parameters(made):
        options.pop("horizon", None)
    environment = made(**options)
    if hasattr(environment, "agent_iter"):
        from pettingzoo.utils.conversions import aec_to_parallel

        return aec_to_parallel(environment)
    return environment


def _gymnasium(target: str, source: Source) -> Any:
    import gymnasium

    options = {key: value for key, value in source.options.items() if key != "horizon"}
    try:
        return gymnasium.make(target, disable_env_checker=True, **options)
    except gymnasium.error.UnregisteredEnv as error:
        hint = "" if ":" in target else f"; name the package that registers it: gymnasium:PACKAGE:{target}"
        raise Unfit(f"gymnasium knows no environment {target!r} ({_first_line(error)}){hint}") from error


def load(target: str) -> Any:
    """What `package.module:name` names."""
    module_name, _, name = target.rpartition(":")
    module = importlib.import_module(module_name)
    try:
        return getattr(module, name)
    except AttributeError:
        raise Unfit(f"the module {module_name} has no {name!r}") from None


def _parameters(made: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(made).parameters
    except (TypeError, ValueError):  # some built-in callables tell nothing
        return {}


def _missing(what: str, error: ImportError) -> str:
    cause = error
    while cause.name is None and isinstance(cause.__cause__, ImportError):  # gymnasium wraps it in a longer story
        cause = cause.__cause__
    name = (cause.name or "").partition(".")[0]
    said = f"{what} cannot be imported: {_first_line(cause)}"
    if extra := EXTRAS_OF_PIP.get(name):
        return f'{said}; install it: pip install "marlsmith[{extra}]"'
    return f"{said}; install the package, or run this in the directory of the module"


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def _is_parallel(environment: Any) -> bool:
    return not hasattr(environment, "agent_iter") and (
        hasattr(environment, "possible_agents") or hasattr(environment, "agents")
    )


def layers(environment: Any) -> Iterator[Any]:
    """The environment and what it wraps, outermost first."""
    waiting, seen = [environment], set[int]()
    while waiting and len(seen) < 20:
        one = waiting.pop(0)
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [getattr(one, name, None) for name in ("env", "aec_env", "par_env", "unwrapped")]


# ---------------------------------------------------------------- spaces


class _Watcher:
    """Turns one agent's observations into rows of numbers, and finds the action mask among them."""

    def __init__(self, name: object, space: spaces.Space[Any]) -> None:
        self.masked = False
        self._keys: list[str] | None = None
        if isinstance(space, spaces.Dict) and any(mask in space.spaces for mask in MASKS):
            self.masked = True
            self._keys = [key for key in space.spaces if key not in MASKS]
            space = spaces.Dict({key: space.spaces[key] for key in self._keys})
            if self._keys == ["observation"]:
                self._keys, space = None, space.spaces["observation"]
        self._space = space
        self._plain = isinstance(space, spaces.Box)
        try:
            self.size = spaces.flatdim(space)
        except (NotImplementedError, ValueError) as error:
            raise Unfit(f"the observations of {name} are {space}, which have no fixed number of values") from error
        if not self.size:
            raise Unfit(f"the observations of {name} are empty")

    def row(self, observation: Any) -> Array:
        """Float32 [size]."""
        if self.masked:
            observation = (
                {key: observation[key] for key in self._keys} if self._keys is not None else observation["observation"]
            )
        if not self._plain:
            observation = spaces.flatten(self._space, observation)
        return np.asarray(observation, np.float32).reshape(-1)

    def mask(self, observation: Any, info: Any) -> Any:
        """Which actions may be chosen, or None where nothing is said."""
        for holder in (observation if self.masked else None, info):
            if isinstance(holder, Mapping):
                for name in MASKS:
                    if name in holder:
                        return holder[name]
        return None


class _Actor:
    """Turns the trainer's actions into the environment's own."""

    def __init__(self, name: object, space: spaces.Space[Any]) -> None:
        self.space = space
        self.continuous = isinstance(space, spaces.Box)
        if isinstance(space, spaces.Discrete):
            self.size = int(space.n)
            self._start = int(space.start)
            return
        if not isinstance(space, spaces.Box) or not np.issubdtype(space.dtype, np.floating):
            raise Unfit(f"the actions of {name} are {space}; only Discrete and Box of floats can be learned")
        if not (np.isfinite(space.low).all() and np.isfinite(space.high).all()):
            raise Unfit(f"the actions of {name} are {space}, without bounds; give every component a low and a high")
        self.size = math.prod(space.shape)
        self._low, self._high = space.low.astype(np.float64), space.high.astype(np.float64)

    def action(self, chosen: Array) -> Any:
        """For an index, or for numbers in -1..1 of which the first are this agent's.

        Whatever is sent, the environment gets an action of its space: a fault of its own is to be one.
        """
        if isinstance(self.space, spaces.Discrete):
            return self._start + min(max(int(chosen), 0), self.size - 1)
        share = (np.clip(np.nan_to_num(chosen[: self.size].astype(np.float64)), -1.0, 1.0) + 1.0) / 2.0
        scaled = self._low + share.reshape(self._low.shape) * (self._high - self._low)
        return np.clip(scaled, self._low, self._high).astype(self.space.dtype)  # rounding may lead beyond the bounds


# ---------------------------------------------------------------- the adapter


class Adapter:
    """One environment, its agents in a fixed order, its records written into the row that is handed in."""

    def __init__(self, source: Source, extras: Extras = ()) -> None:
        self.source = source
        self.environment = build(source)
        self.parallel = _is_parallel(self.environment)
        self.names = self._names()
        self.watchers = [_Watcher(name, space) for name, space in zip(self.names, self._spaces(False), strict=True)]
        self.actors = [_Actor(name, space) for name, space in zip(self.names, self._spaces(True), strict=True)]
        if len({actor.continuous for actor in self.actors}) > 1:
            raise Unfit("some agents have discrete actions and others continuous ones; all must be of one kind")
        self.limit = own_limit(self.environment)
        self.horizon = source.horizon or self.limit
        self._scorer = self._score_function()
        self.running = False
        self.steps = 0
        self.infos: Any = {}
        self.extras = extras

    def _names(self) -> list[Any]:
        environment = self.environment
        if self.parallel:
            agents = getattr(environment, "possible_agents", None)
            if not agents:
                environment.reset(seed=0)
                agents = environment.agents
            return list(agents)
        space = getattr(environment, "action_space", None)
        if not isinstance(space, spaces.Tuple) or not isinstance(environment.observation_space, spaces.Tuple):
            raise Unfit(
                "it is neither a PettingZoo environment nor one of gymnasium whose spaces are Tuples with one entry "
                "per agent"
            )
        return list(range(len(space.spaces)))

    def _spaces(self, action: bool) -> Sequence[spaces.Space[Any]]:
        if self.parallel:
            method = self.environment.action_space if action else self.environment.observation_space
            return [method(name) for name in self.names]
        space = self.environment.action_space if action else self.environment.observation_space
        return list(space.spaces)

    def _score_function(self) -> Callable[..., Any] | None:
        origin = self.source.score.from_
        if origin == "reward" or origin.startswith("info:"):
            return None
        try:
            function: Callable[..., Any] = load(origin)
        except ImportError as error:
            raise Unfit(_missing(f"the score {origin}", error)) from error
        return function

    # ------------------------------------------------------------ episodes

    def reset(self, seed: int, row: Array) -> None:
        observation, self.infos = self.environment.reset(seed=seed)
        self.running, self.steps = True, 0
        self.over = np.zeros(len(self.names), bool)
        self.ended_for_good = np.zeros(len(self.names), bool)
        row["terminated"] = row["truncated"] = False
        row["reward"] = 0.0
        row["extra"] = 0.0
        self._show(observation, row, self.over)
        self._show_extras(row)

    def step(self, actions: Array, row: Array) -> None:
        """One step; an episode that has ended stays as it is, and gives nothing."""
        row["reward"] = 0.0
        if not self.running:
            return
        acting = np.flatnonzero(row["active"]) if self.parallel else range(len(self.names))
        chosen = {self.names[i]: self.actors[i].action(actions[i]) for i in acting}
        step = self.environment.step(chosen if self.parallel else tuple(chosen.values()))
        observation, rewards, terminations, truncations, self.infos = step
        self.steps += 1
        gone = self.over.copy()
        for i, name in enumerate(self.names):
            if gone[i]:
                continue
            row["reward"][i] = _entry(rewards, name, 0.0)
            terminated, truncated = bool(_entry(terminations, name, False)), bool(_entry(truncations, name, False))
            if terminated or truncated:
                self.over[i] = True
                self.ended_for_good[i] = terminated and not truncated
        self._show(observation, row, gone)
        self._show_extras(row)
        self._end(row, gone)

    def _end(self, row: Array, gone: Array) -> None:
        over = bool(self.over.all()) or (self.parallel and not self.environment.agents)
        if not over and (self.horizon is None or self.steps < self.horizon):
            return
        self.running = False
        ended = self.ended_for_good
        good = over and bool(ended.any() and ended[self.over].all())
        limits = [limit for limit in (self.horizon, self.limit) if limit is not None]
        if good and limits and self.steps >= min(limits) and not collected_all(self.environment):
            good, ended = False, gone  # most environments report their time limit as an end for good
        row["terminated"], row["truncated"] = good, not good
        if not good:
            row["active"] |= self.over & ~(gone | ended)  # who is cut short has a future to be reckoned with

    def _show(self, observation: Any, row: Array, gone: Array) -> None:
        """Write what every agent sees and may do; `gone` are those that had left before this step."""
        row["observation"] = 0.0
        row["available"] = 1
        here = set(self.environment.agents) if self.parallel else set(self.names)
        for i, (name, watcher) in enumerate(zip(self.names, self.watchers, strict=True)):
            row["active"][i] = name in here and not self.over[i]
            seen = _entry(observation, name, None)
            if seen is not None and not gone[i]:  # what an agent that leaves saw last is shown once
                row["observation"][i, : watcher.size] = watcher.row(seen)
            if not gone[i] and row["available"].shape[1]:
                self._show_available(i, watcher.mask(seen, self._info(i)), row)

    def _show_available(self, i: int, mask: Any, row: Array) -> None:
        size = self.actors[i].size
        row["available"][i, size:] = 0
        if mask is not None:
            allowed = np.asarray(mask).reshape(-1)[:size] > 0
            if allowed.any():
                row["available"][i, :size] = allowed

    def _info(self, i: int) -> Any:
        """What the infos say of agent i alone."""
        if self.parallel:
            return self.infos.get(self.names[i]) if isinstance(self.infos, Mapping) else None
        if isinstance(self.infos, Mapping):
            for name in MASKS:
                if name in self.infos:
                    return {name: self.infos[name][i]}
        return None

    # ------------------------------------------------------------ further numbers

    def state_size(self) -> int:
        """Numbers of the environment's own global state, which only PettingZoo knows; 0 where it has none of use."""
        if not self.parallel:
            return 0
        try:
            size = int(np.asarray(self.environment.state(), np.float32).size)
        except (NotImplementedError, AttributeError, TypeError, ValueError):
            return 0
        return size if size <= LARGEST_STATE else 0

    def info_value(self, key: str) -> Array | None:
        """What the infos hold under a key now: [N, ...] where agents have infos of their own; None if nothing."""
        if not isinstance(self.infos, Mapping):
            return None
        if not self.parallel:
            return None if key not in self.infos else np.asarray(self.infos[key], np.float32)
        found = self._own_infos(key)
        told = next((one for one in found if one is not None), None)
        return None if told is None else np.stack([np.zeros_like(told) if one is None else one for one in found])

    def _own_infos(self, key: str) -> list[Array | None]:
        """What each agent's own infos hold under a key; None where nothing."""
        mine = (self.infos.get(name) for name in self.names)
        return [np.asarray(one[key], np.float32) if isinstance(one, Mapping) and key in one else None for one in mine]

    def _show_extras(self, row: Array) -> None:
        at = 0
        for name, shape in self.extras:
            size = math.prod(shape)
            value = self._extra(name)
            if value is not None:
                row["extra"][at : at + size] = np.asarray(value, np.float32).reshape(-1)
            elif name == "score" and self.source.score.reduce in ("sum", "mean"):
                row["extra"][at] = 0.0  # said at some steps only: nothing is added at the others
            at += size

    def _extra(self, name: str) -> Any:
        if name == "global_state":
            # Many environments cannot tell their state once all agents have left: the last one stays.
            return self.environment.state() if self.environment.agents else None
        if name.startswith("info:"):
            return self.info_value(name.removeprefix("info:"))
        if self._scorer is not None:
            return np.mean(np.asarray(self._scorer(self.environment, self.infos), np.float64))
        key = self.source.score.from_.removeprefix("info:")
        if not self.parallel:
            value = self.info_value(key)
            return None if value is None else value.mean()
        told = [one.mean() for one in self._own_infos(key) if one is not None]  # agents that have left tell nothing
        return np.mean(told) if told else None

    def close(self) -> None:
        self.environment.close()

    # ------------------------------------------------------------ what it is

    def layout(self) -> Layout:
        return Layout(
            agents=len(self.names),
            observation=max(watcher.size for watcher in self.watchers),
            actions=max(actor.size for actor in self.actors),
            continuous=self.actors[0].continuous,
            extras=self.extras,
        )


def _entry(values: Any, name: Any, default: Any) -> Any:
    """An agent's share of what a step gave: by name, by index, or one value for all."""
    if isinstance(values, Mapping):
        return values.get(name, default)
    if isinstance(values, list | tuple) or (isinstance(values, np.ndarray) and values.ndim):
        return values[name]
    return values


def own_limit(environment: Any) -> int | None:
    """The time limit that an environment says it has."""
    for one in layers(environment):
        spec = getattr(one, "spec", None)
        for holder, names in ((spec, ("max_episode_steps",)), (one, LIMITS)):
            for name in names:
                value = getattr(holder, name, None)
                if isinstance(value, int | np.integer) and not isinstance(value, bool) and value > 0:
                    return int(value)
    return None


def collected_all(environment: Any) -> bool:
    """Whether an end at the time limit is one for good all the same: level-based foraging with no food left."""
    for one in layers(environment):
        if all(hasattr(one, name) for name in ("field", "current_step", "_max_episode_steps")):
            return not np.any(one.field)
    return False
