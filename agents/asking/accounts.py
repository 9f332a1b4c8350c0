"""What was asked, what came and what it cost: the record in llm.jsonl, and the budget that it is held to."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from marlsmith.agents.asking.address import Key
from marlsmith.agents.asking.question import NO_USAGE, Question, Reply, Rung, Usage
from marlsmith.agents.settings import Budget, ModelSettings
from marlsmith.schemas import UserError


@dataclass(frozen=True)
class Spent:
    """Calls are requests that went out, failed ones included."""

    calls: int = 0
    failed: int = 0
    usage: Usage = NO_USAGE
    money: float | None = None
    """None where no price is known."""


class Attempt:
    """One request on its way; whoever makes it says what came of it."""

    def __init__(self) -> None:
        self.reply: Reply | None = None
        self.error: str | None = None


class Accounts:
    """Of one run; shared by all its clients, from several threads."""

    def __init__(self, log: Path | None = None, budget: Budget | None = None, keys: Sequence[Key] = ()) -> None:
        self.log = log
        self._keys = keys
        self._lock = threading.Lock()
        self._spent = Spent()

    def recall(self, question: Question, asked: str) -> Reply | None:
        """What was answered before to this very question."""
        return None

    @contextmanager
    def attempt(self, question: Question, asked: str, settings: ModelSettings | None, rung: Rung) -> Iterator[Attempt]:
        """Around one request: refused before it where the budget says no, recorded after it in any case.

        Raises BudgetError before, UserError where the record cannot be written.
        """
        attempt, started = Attempt(), time.monotonic()
        try:
            yield attempt
        except BaseException as error:
            attempt.error = attempt.error or type(error).__name__
            raise
        finally:
            self._settle(question, asked, rung, attempt, time.monotonic() - started)

    def spent(self) -> Spent:
        with self._lock:
            return self._spent

    def _settle(self, question: Question, asked: str, rung: Rung, attempt: Attempt, seconds: float) -> None:
        reply = attempt.reply
        usage = reply.usage if reply else Usage()
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "hash": question.hash(asked),
            **question.said(asked),
            "rung": rung,
            "text": reply.text if reply else None,
            "refusal": reply.refusal if reply else None,
            "finish_reason": reply.finish_reason if reply else None,
            "usage": asdict(usage),
            "seconds": round(seconds, 3),
            "error": attempt.error,
        }
        with self._lock:
            before = self._spent
            self._spent = Spent(before.calls + 1, before.failed + (reply is None), before.usage + usage, before.money)
            if self.log is not None:
                text = json.dumps(line, ensure_ascii=False)
                for key in self._keys:
                    text = key.hide(text)
                _append(self.log, text)


def _append(log: Path, line: str) -> None:
    """In one write, so that neither parallel roles nor a kill can tear an earlier line."""
    data = (line + "\n").encode("utf-8", "backslashreplace")
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, data)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise UserError(
            f"{log} cannot be written ({error.strerror}): make it writable, or make room on its disk"
        ) from None
