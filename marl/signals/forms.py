"""The functions by which a signal is entered: the arguments that each is given, and the terms of its answer."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass

from marlsmith.marl.signals.problems import FAULT_LIMIT
from marlsmith.schemas import SignalError, printable

Forms = Mapping[str, tuple[str, ...]]
REWARD_FORMS: dict[str, tuple[str, ...]] = {
    "agent_reward": ("state", "agent, world"),
    "global_reward": ("state", "world"),
}
OBSERVATION_FORMS: dict[str, tuple[str, ...]] = {
    "enhance_observation": ("obs", "obs, history"),
    "stateEnhance": ("obs", "obs, history"),
}
ENTRIES = frozenset(REWARD_FORMS | OBSERVATION_FORMS)

MOST_TERMS = 32
"""That a reward function may answer with."""
TERM_NAME = r"[A-Za-z0-9_.:+\- ]{1,40}"
"""Names of terms come from candidate code and go to terminals and prompts: plain words only."""


@dataclass(frozen=True)
class Function:
    """A top-level function by the names of the arguments that it needs; a leading `self` stands apart."""

    arguments: tuple[str, ...]
    wants_self: bool

    @property
    def of_world(self) -> bool:
        """Whether it is in LERO's published style, of world objects instead of tensors."""
        return self.arguments[-1:] == ("world",)


def defined_functions(tree: ast.Module) -> dict[str, Function]:
    """Top-level functions: parameters with a default do not count."""
    return {node.name: _function(node) for node in tree.body if isinstance(node, ast.FunctionDef)}


def _function(node: ast.FunctionDef) -> Function:
    names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
    needed = names[: len(names) - len(node.args.defaults)]
    wants_self = needed[:1] == ["self"]
    return Function(tuple(needed[wants_self:]), wants_self)


def worlds(tree: ast.Module) -> dict[str, bool]:
    """Which of its reward functions are in LERO's published style."""
    return {name: found.of_world for name, found in defined_functions(tree).items() if name in REWARD_FORMS}


def require_functions(tree: ast.Module, forms: Forms = REWARD_FORMS | OBSERVATION_FORMS) -> None:
    """Raises SignalError where the module defines no entry point of these, or one with other parameters.

    Each form may have a `self` before it.
    """
    defined = {name: found for name, found in defined_functions(tree).items() if name in forms}
    if not defined:
        wanted = ", ".join(f"{name}({form[0]})" for name, form in forms.items() if name != "stateEnhance")
        raise SignalError(f"defines none of {wanted}: write at least one of them as a top-level function")
    for name, found in defined.items():
        of_world, count = found.of_world, len(found.arguments)
        if not any((form.endswith("world")) == of_world and len(form.split(", ")) == count for form in forms[name]):
            right = " or ".join(f"{name}({form})" for form in forms[name])
            given = ("self, " if found.wants_self else "") + ", ".join(found.arguments)
            given = printable(given, FAULT_LIMIT)
            raise SignalError(f"{name}({given}) has other arguments than it is given: write it as {right}")
