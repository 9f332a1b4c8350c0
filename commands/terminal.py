"""What `train` and `check` say on stderr, beside their results: warnings and a progress bar."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress

from marlsmith.graph.telling import jail
from marlsmith.marl.executor import Executor
from marlsmith.schemas import printable

LONGEST = 2000


def warn(sentence: str) -> None:
    print(f"marlsmith: warning: {printable(sentence, LONGEST)}", file=sys.stderr)


def require_jail(executor: Executor, device: str = "cpu") -> None:
    """Raises UserError where the jail is open; with --unsafe-jail, a warning."""
    if (sentence := jail.warning(executor.jail(device))) is not None:
        warn(sentence)


@contextmanager
def progress_bar(what: str, total: int, quiet: bool) -> Iterator[Callable[[int], None] | None]:
    """With remaining time on stderr, where that is a terminal; yields what moves it."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield None
        return
    # Results must stay on standard output; only where both are the terminal does rich print them above the bar.
    with Progress(console=console, transient=True, redirect_stdout=sys.stdout.isatty()) as bars:
        bar = bars.add_task(what, total=total)
        yield lambda done: bars.update(bar, completed=done)
