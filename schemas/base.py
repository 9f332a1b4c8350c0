"""What all records are made of, the errors that users and authors can mend, and text from outside."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class UserError(Exception):
    """Something the user can mend: one sentence that says what was wrong and what to do."""


class SignalError(Exception):
    """Something the author of a signal can mend; `stage` says which check refused it, `problems` all it found.

    The words may quote the candidate, names and all: they are made fit for terminals, logs and prompts here.
    """

    def __init__(self, message: str, stage: FailureStage = "static", problems: tuple[str, ...] = ()) -> None:
        super().__init__(printable(message, 1000))
        self.stage: FailureStage = stage
        self.problems = tuple(printable(problem, 400) for problem in problems or (message,))


class PausingError(Exception):
    """Something outside the run stands in its way: it pauses, loses nothing and can be resumed."""


class EndpointError(PausingError):
    """A model's endpoint does not answer."""


class BudgetError(PausingError):
    """The next call to a model would cost more than the run, or its role, may spend."""


class Interrupted(PausingError):
    """The run was asked to stop while it waited for an answer: nobody else is to be asked instead."""

    def __init__(self, words: str = "the run is to stop") -> None:
        super().__init__(words)


class AnswerError(Exception):
    """Somebody answered, but not usably, and asking again has not helped: the run notes it and goes on."""


class Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


FailureStage = Literal["static", "dynamic", "timeout", "memory", "jail", "crash", "environment"]
"""What refused or ended it. `environment`: the task's own, which is no fault of the candidate."""


def printable(text: str, limit: int) -> str:
    """Text from outside, fit for a terminal and a log: one line, no control characters, at most `limit`."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def visible(text: str) -> str:
    """Text of many lines from outside, such as code, with all its characters to be seen: what turns it round, hides
    in it or rings a bell is written out. Tabs and newlines stay.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else _written_out(c) for c in text)


def _written_out(character: str) -> str:
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")


def plain(record: Record) -> dict[str, Any]:
    """A record as JSON-plain values, for the graph's state and the event log."""
    return record.model_dump(mode="json")
