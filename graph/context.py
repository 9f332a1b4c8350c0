"""What nodes are given and the checkpointer never sees."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

from marlsmith.agents.asking.accounting.ledger import NOTHING, Spent
from marlsmith.agents.roles import Roles
from marlsmith.graph.methods import Method, RunSettings
from marlsmith.graph.run_directory import RunDirectory
from marlsmith.graph.telling.journal import Journal
from marlsmith.marl.executor import Executor
from marlsmith.schemas import Signal, TaskCard, ToolUse


@dataclass(frozen=True)
class Parts:
    """What the caller brings to a run."""

    card: TaskCard
    roles: Roles
    executor: Executor
    signal_to_code: Callable[[Signal, TaskCard], str]
    spent: Callable[[], Spent]
    """What the roles have spent so far, in all processes of the run."""
    spent_at: Callable[[str], Spent] = lambda place: NOTHING
    """What all generators who were asked at a place have spent there."""
    interrupt: Callable[[], None] = lambda: None
    """Ends every wait of the roles for an answer: they raise Interrupted."""
    heard: Callable[[Callable[[ToolUse], None]], AbstractContextManager[None]] = lambda hear: nullcontext()
    """Inside, what roles try on their workbench is told to the function that it was given."""

    def close(self) -> None:
        """So that the run comes to a halt soon, wherever it is."""
        self.interrupt()
        self.executor.close()


class Outfitter(Protocol):
    """How a run gets what it needs: first its executor, before anything is written, then the rest."""

    def engage(self, settings: RunSettings) -> Executor:
        """The driver asks it for its jail, which may refuse, and closes it when the run halts."""
        ...

    def equip(self, directory: RunDirectory, executor: Executor) -> Parts:
        """Called under the run's lock, when its directory exists (llm.jsonl goes there)."""
        ...


@dataclass(frozen=True)
class Context:
    settings: RunSettings
    directory: RunDirectory
    parts: Parts
    journal: Journal
    slots: threading.Semaphore
    """As many trainings at a time as the run has workers. LangGraph's max_concurrency will not do, see run.py."""

    def method(self, stage: int) -> Method:
        """That the stage follows."""
        return self.settings.method.at(stage)
