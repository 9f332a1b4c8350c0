"""A training worker and a policy in which the static and dynamic checks do not exist. Loaded into the fork server.

Candidate code runs with all builtins, as if every check had been passed, inside the product's own jobs.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable
from typing import Any

from marlsmith.marl import jobs
from marlsmith.marl.signals import program
from marlsmith.schemas import Code, Signal, TaskCard

Report = Callable[[dict[str, Any]], None]
Reply = tuple[dict[str, Any], bytes | None]


def without_policy() -> None:
    """From here on the module of a signal is compiled as it stands, and finds all of Python."""

    def tree(signal: Signal, card: TaskCard) -> ast.Module:
        part = signal.reward or signal.observation
        assert isinstance(part, Code)
        return ast.parse(part.source)

    program.checked_tree = tree
    program._builtins = lambda: vars(builtins)


def train(arguments: dict[str, Any], report: Report) -> Reply:
    without_policy()
    return jobs.train(arguments, report)


def play(arguments: dict[str, Any], report: Report) -> Reply:
    without_policy()
    return jobs.play(arguments, report)
