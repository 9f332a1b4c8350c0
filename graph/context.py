"""What nodes are given and the checkpointer never sees."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from marlsmith.agents.roles import Roles
from marlsmith.graph.journal import Journal
from marlsmith.graph.methods import RunSettings
from marlsmith.graph.run_directory import RunDirectory
from marlsmith.marl.executor import Executor
from marlsmith.schemas import Signal, TaskCard


@dataclass(frozen=True)
class Parts:
    """What the caller brings to a run; the driver closes the executor when the run halts."""

    card: TaskCard
    roles: Roles
    executor: Executor
    signal_to_code: Callable[[Signal, TaskCard], str]
    tokens: Callable[[], int]
    """Tokens that these roles have spent so far, in this process."""


@dataclass(frozen=True)
class Context:
    settings: RunSettings
    directory: RunDirectory
    parts: Parts
    journal: Journal
    slots: threading.Semaphore
    """As many trainings at a time as the run has workers. LangGraph's max_concurrency will not do, see run.py."""
