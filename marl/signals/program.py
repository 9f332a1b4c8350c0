"""A signal made runnable: the checked tree is compiled and its functions are called on tensors.

Only worker processes may call this: it executes candidate code.
"""

from __future__ import annotations

import ast
import builtins
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from marlsmith.marl.signals.allowed import ERRORS, SAFE_BUILTINS
from marlsmith.marl.signals.forms import MOST_TERMS, REWARD_FORMS, TERM_NAME, defined_functions, worlds
from marlsmith.marl.signals.guards import DOORS, FILE_NAME, GUARDS, NumberSet, Text, guard
from marlsmith.marl.signals.lasting import keeps_nothing
from marlsmith.marl.signals.static import checked_tree
from marlsmith.marl.signals.view import StateView
from marlsmith.marl.signals.world import Scenario, for_each_agent, for_each_world
from marlsmith.schemas import Scope, Signal, SignalError, TaskCard

HISTORY = 4
"""How many observations, the newest last, a function `enhance_observation(obs, history)` is given."""

MOST_LOAD_SECONDS = 5e-3
LOADS = 3
"""The fastest of so many counts."""


@dataclass(frozen=True)
class Program:
    """The functions of a signal; None where the native reward or observation stays."""

    agent_reward: Callable[[StateView], Any] | None
    global_reward: Callable[[StateView], Any] | None
    enhance: Callable[..., Any] | None
    wants_history: bool
    alpha: Tensor
    scope: Scope
    scalar: bool = False
    """Whether a reward function is called for one environment at a time (LERO's published style): slow."""
    enhances_by: str = "enhance_observation"
    """What the module calls `enhance`."""

    @property
    def shapes_reward(self) -> bool:
        return self.agent_reward is not None or self.global_reward is not None

    def reward(self, state: StateView, rows: int, agents: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Hybrid reward [B, N] and its named terms, [B, N] (agent) or [B] (team).

        R_i = alpha_i * R_local + (1 - alpha_i) * R_global (LERO, Eq. 1). Where only one of the two functions
        is given, it is the whole reward. Raises SignalError where a function answers with the wrong thing.
        """
        own = _terms("agent_reward", self.agent_reward, state, (rows, agents))
        team = _terms("global_reward", self.global_reward, state, (rows,))
        terms = dict(own)
        for name, value in team.items():
            while name in terms:
                name = f"team_{name}"
            terms[name] = value
        local = torch.stack(list(own.values())).sum(0) if own else None
        shared = torch.stack(list(team.values())).sum(0).unsqueeze(-1) if team else None
        if local is not None and shared is not None:
            return self.alpha * local + (1 - self.alpha) * shared, terms
        if local is not None:
            return local, terms
        assert shared is not None, "reward() is called only where shapes_reward"
        return shared.expand(rows, agents), terms

    def features(self, obs: Tensor, history: Tensor | None) -> Tensor:
        """Appended columns [B, N, K] for obs [B, N, D] (and history [B, H, N, D])."""
        assert self.enhance is not None, "features() is called only where enhance is given"
        value = self.enhance(obs, history) if self.wants_history else self.enhance(obs)
        if not isinstance(value, Tensor):
            raise SignalError(f"{self.enhances_by} returned {type(value).__name__}, not a tensor [B, N, K]", "dynamic")
        if value.dim() != 3 or value.shape[:2] != obs.shape[:2]:
            raise SignalError(
                f"{self.enhances_by} returned shape {list(value.shape)} for obs {list(obs.shape)}: "
                f"return [{obs.shape[0]}, {obs.shape[1]}, K]",
                "dynamic",
            )
        if value.dtype != torch.float32:
            raise SignalError(f"{self.enhances_by} returned {value.dtype}: return float32, with .float()", "dynamic")
        return value


def _terms(
    name: str, function: Callable[[StateView], Any] | None, state: StateView, shape: tuple[int, ...]
) -> dict[str, Tensor]:
    if function is None:
        return {}
    value = function(state)
    terms = value if isinstance(value, dict) else {name: value}
    wanted = "[B, N]" if len(shape) == 2 else "[B]"
    if not terms:
        raise SignalError(f"{name} returned no term: return a tensor {wanted} or a dict of them", "dynamic")
    if len(terms) > MOST_TERMS:
        raise SignalError(f"{name} returned {len(terms)} terms: at most {MOST_TERMS}", "dynamic")
    for term, tensor in terms.items():
        if not isinstance(term, str) or not re.fullmatch(TERM_NAME, term):
            raise SignalError(
                f"{name} has a term named {term!a:.60}: use at most 40 letters, digits and _.:+-", "dynamic"
            )
        if not isinstance(tensor, Tensor):
            raise SignalError(
                f"{name} returned {type(tensor).__name__} for {term!r}: return a tensor {wanted} or a dict of them",
                "dynamic",
            )
        if tensor.shape != shape:
            raise SignalError(
                f"{name} returned shape {list(tensor.shape)} for {term!r}: return {wanted} = {list(shape)}",
                "dynamic",
            )
        if tensor.dtype != torch.float32:
            raise SignalError(f"{name} returned {tensor.dtype} for {term!r}: return float32, with .float()", "dynamic")
    return terms


def build_program(signal: Signal, card: TaskCard, fresh: bool = True) -> Program:
    """Check, compile and load a signal. Raises SignalError where it is refused.

    Without `fresh` all calls share one copy of the module, so that a check can see what they would remember.
    """
    return _program(checked_tree(signal, card), signal, card, fresh)


class _Module:
    """A checked module whose functions are each called in a fresh copy of it, so that no call knows of another.

    Lists, tensors, defaults, closures and half-read iterators at module level live for one call.
    """

    def __init__(self, tree: ast.Module, fresh: bool) -> None:
        self._functions = defined_functions(tree)
        self._fixed = keeps_nothing(tree) or not fresh
        try:
            self._code = compile(guard(tree), FILE_NAME, "exec")
            self.namespace = self._loaded()
            seconds = min(self._timed() for _ in range(LOADS)) if not self._fixed else 0.0
        except SignalError:
            raise
        except Exception as error:
            raise SignalError(f"fails when loaded: {type(error).__name__}: {error}", "dynamic") from error
        if seconds > MOST_LOAD_SECONDS:
            raise SignalError(
                f"what stands at module level takes more than {MOST_LOAD_SECONDS * 1e3:.0f} ms, and it is done anew "
                "for each call: write it as literals, or compute it in the function",
                "dynamic",
            )

    def _timed(self) -> float:
        """Processor time of one loading: of the clock on the wall, a busy machine may take any."""
        started = time.process_time()
        self.namespace = self._loaded()
        return time.process_time() - started

    def _loaded(self) -> dict[str, Any]:
        namespace: dict[str, Any] = {"__builtins__": _builtins(), "__name__": "signal"}
        exec(self._code, namespace)
        return namespace

    def fresh(self, name: str) -> Callable[..., Any]:
        """The function as it is before its first call, and bound to a `self` where it takes one."""
        namespace = self.namespace if self._fixed else self._loaded()
        if not self._functions[name].wants_self:
            function: Callable[..., Any] = namespace[name]
            return function
        methods = {name: namespace[name] for name, found in self._functions.items() if found.wants_self}
        bound: Callable[..., Any] = getattr(Scenario(methods), name)
        return bound

    def entry(self, name: str, card: TaskCard) -> Callable[..., Any] | None:
        """An entry function by its name, as a function of the state or the observation."""
        if name not in self._functions:
            return None
        if name in REWARD_FORMS and self._functions[name].of_world:
            by_row = for_each_agent if name == "agent_reward" else for_each_world
            return by_row(lambda: self.fresh(name), card)
        return lambda *given: self.fresh(name)(*given)


def _program(tree: ast.Module, signal: Signal, card: TaskCard, fresh: bool) -> Program:
    defined, of_world = defined_functions(tree), worlds(tree)
    module = _Module(tree, fresh)
    shaping, observes = signal.reward is not None, signal.observation is not None
    observing = "enhance_observation" if "enhance_observation" in defined else "stateEnhance"
    return Program(
        agent_reward=module.entry("agent_reward", card) if shaping else None,
        global_reward=module.entry("global_reward", card) if shaping else None,
        enhance=module.entry(observing, card) if observes else None,
        wants_history=observes and observing in defined and len(defined[observing].arguments) == 2,
        alpha=_alpha(module.namespace.get("ALPHA", 0.5), card.agents),
        scope=_scope(module.namespace.get("SCOPE", "own")),
        scalar=shaping and any(of_world.values()),
        enhances_by=observing,
    )


def _alpha(value: object, agents: int) -> Tensor:
    try:
        # A copy: what the module calls ALPHA is in its own hands.
        alpha = torch.as_tensor(value, dtype=torch.float32).detach().clone()
    except (TypeError, ValueError, RuntimeError):
        raise SignalError("ALPHA must be a number from 0 to 1, or a list with one for each agent", "dynamic") from None
    if alpha.shape not in {(), (agents,)} or not bool(((alpha >= 0) & (alpha <= 1)).all()):
        raise SignalError("ALPHA must be a number from 0 to 1, or a list with one for each agent", "dynamic")
    return alpha.expand(agents)


def _scope(value: object) -> Scope:
    if value == "own":
        return "own"
    if value == "team":
        return "team"
    raise SignalError('SCOPE must be "own" or "team"', "dynamic")


def _builtins() -> dict[str, Any]:
    names = {name: getattr(builtins, name) for name in SAFE_BUILTINS | ERRORS}
    # Errors that Python itself raises in candidate code look these up; torch's C side needs __import__.
    return {**names, **GUARDS, "str": Text, "set": NumberSet, "print": _silent, "__import__": _loaded_only}


def _silent(*_: object, **__: object) -> None:
    """Candidate code may print; nobody listens."""


def _loaded_only(
    name: str, globals_: Any = None, locals_: Any = None, fromlist: Any = (), level: int = 0
) -> ModuleType | SimpleNamespace:
    if level != 0 or name not in sys.modules:
        raise ImportError(f"{name} is not available here")
    if name in DOORS:
        return DOORS[name if fromlist else name.partition(".")[0]]
    return builtins.__import__(name, globals_, locals_, fromlist, level)
