"""What was found in candidate code, as sentences that name the line, the fault and the remedy."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Callable, Iterable

from marlsmith.schemas import SignalError, printable

PROBLEM_LIMIT = 5
FAULT_LIMIT, CURE_LIMIT = 150, 400
"""Characters of a sentence."""
LONGEST_GUESS, MOST_GUESSES = 30, 500
"""Letters and names beyond which no guess is made: it would take seconds."""

Remedy = str | Callable[[], str]


class Problems:
    """A problem is a line and a sentence; each is kept once."""

    def __init__(self) -> None:
        self._found: dict[tuple[int, str], Remedy] = {}

    def refuse(self, node: ast.AST, what: str, remedy: Remedy) -> None:
        self.add(getattr(node, "lineno", 1), what, remedy)

    def add(self, line: int, what: str, remedy: Remedy) -> None:
        self._found[line, what] = remedy

    def raise_first(self) -> None:
        """Raises SignalError with the first of them, if there are any."""
        if self._found:
            shown = sorted(self._found)[:PROBLEM_LIMIT]
            sentences = tuple(_sentence(line, what, self._found[line, what]) for line, what in shown)
            raise SignalError("; ".join(sentences), problems=sentences)


def _sentence(line: int, what: str, remedy: Remedy) -> str:
    # Names and texts of the code stand in it, and it goes to terminals and prompts.
    fault, cure = printable(what, FAULT_LIMIT), printable(remedy if isinstance(remedy, str) else remedy(), CURE_LIMIT)
    return f"line {line}: {fault} is not allowed: {cure}"


def closest(name: str, known: Callable[[], Iterable[str]], otherwise: str) -> Callable[[], str]:
    """A guess at what was meant: slow, so it is made only for problems that are shown, and among short names."""

    def remedy() -> str:
        if not 3 < len(name) <= LONGEST_GUESS:
            return otherwise
        names = sorted(other for other in known() if len(other) <= LONGEST_GUESS)
        close = difflib.get_close_matches(name, names, n=1, cutoff=0.75) if len(names) <= MOST_GUESSES else []
        return f"did you mean {close[0]}?" if close else otherwise

    return remedy
