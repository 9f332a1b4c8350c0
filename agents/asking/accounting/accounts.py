"""What was asked, what came and what it cost: one door to the record, the ledger and the prices."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from marlsmith.agents.asking.accounting import book
from marlsmith.agents.asking.accounting.book import Book, Index, Line
from marlsmith.agents.asking.accounting.estimates import Habits, prompt_tokens
from marlsmith.agents.asking.accounting.ledger import Bill, Cost, Ledger, Spent
from marlsmith.agents.asking.accounting.prices import Tariff, known_price, limits_money, unpriced
from marlsmith.agents.asking.accounting.replaying import Recording
from marlsmith.agents.asking.address import Key
from marlsmith.agents.asking.keys import Keys
from marlsmith.agents.asking.question import Message, Question, Reply, Role, Rung, Usage
from marlsmith.agents.settings import Budget, ModelSettings


class Attempt:
    """One request on its way; whoever makes it says what came of it."""

    def __init__(self) -> None:
        self.reply: Reply | None = None
        self.error: str | None = None
        self.usage: Usage | None = None
        """Where the endpoint said it without a reply that can be used."""
        self.reached = False
        """The endpoint has had the question, so that it may be paid for although no reply can be used: the time ran
        out, or what came was malformed."""


class Accounts:
    """Of one run; shared by all its clients, from several threads.

    What earlier processes have written down is spent, and need not be asked again. With `replay`, the directory
    of another run, every answer comes from its record, and no budget holds. Once `interrupted` is set, nothing
    more is asked: whoever would, or waits for an answer, raises Interrupted.
    """

    def __init__(
        self,
        log: Path | None = None,
        budget: Budget | None = None,
        keys: Sequence[Key] = (),
        replay: Path | None = None,
        interrupted: threading.Event | None = None,
    ) -> None:
        self.interrupted = interrupted or threading.Event()
        self._budget = budget or Budget()
        self.keys = Keys(keys)
        self._book = Book(log, keys)
        self._lock = threading.Lock()
        self._habits = Habits()
        self._tariffs: dict[str, Tariff | None] = {}
        self._recording = Recording(replay) if replay is not None else None
        self._ledger = Ledger(None if replay is not None else budget, self.interrupted)
        self._known = Index(self._book.open())
        lines = list(self._known.lines())
        self._copied = Counter(line["place"] for line in lines)
        for line in lines:
            self._count(line)

    def recall(self, question: Question, asked: str) -> Reply | None:
        """What was answered before to this very question, and not discarded.

        In a replay there is always an answer, or an exception: what the run raised then, or ReplayMiss.
        """
        with self._lock:
            if self._recording is None:
                return self._known.usable(question.place, question.hash(asked))
            try:
                return self._recording.reply(question, asked, self._book)
            finally:
                self._copy(question.place)

    def exchange(self, question: Question, asked: str, exchange: Sequence[Message]) -> Sequence[Message]:
        """A call of tools as the record has it, else as it is.

        What a tool says may have been measured: told anew, it would make another question of the one that follows.
        """
        with self._lock:
            known = self._recording or self._known
            before, same = self._book.hidden([*question.messages]), self._book.hidden([*exchange])
            return known.exchange(question.place, self._book.hidden(asked), before, same) or exchange

    @contextmanager
    def attempt(
        self, question: Question, asked: str, settings: ModelSettings | None, rung: Rung, *, limited: bool = True
    ) -> Iterator[Attempt]:
        """Around one request: refused before it where the budget says no, recorded after it in any case.

        Without settings it goes to a person, who is not paid. `limited`: it says how long its answer may be, where
        question or settings do. Raises PausingError before where it may not go out, UserError where the record
        cannot be written, and in a replay ReplayMiss.
        """
        if self._recording is not None:
            raise self._recording.miss(question, asked, self._book)
        attempt = Attempt()
        if settings is None:
            with self._recorded(question, asked, rung, attempt, None, None):
                yield attempt
            return
        tariff = self._tariff(asked, settings)
        if tariff is None and limits_money(self._budget, question.role):
            raise unpriced(settings)
        likely = _cost(self._habits.likely(question, asked, settings), tariff)
        most = _cost(self._habits.most(question, asked, settings, limited=limited), tariff)
        with (
            self._ledger.admitted(question.role, question.place, asked, likely, most, settings.timeout) as bill,
            self._recorded(question, asked, rung, attempt, bill, tariff),
        ):
            yield attempt

    def unanswered(self, question: Question, asked: str, error: Exception) -> None:
        """Written down, so that a replay goes on as this run does: without an answer."""
        if self._recording is None:
            self._book.write([book.unanswered_line(question, asked, error)])

    def discard(self, place: str, asked: str) -> None:
        """What was said at this place by whom it was asked is of no use: a resume asks anew."""
        if self._recording is None:
            with self._lock:
                self._known.discard(place, asked)
            self._book.write([book.discarded_line(place, asked)])

    def spent(self, role: Role | None = None, place: str | None = None, asked: str | None = None) -> Spent:
        """By the run in all its processes, or of that by one role, at one place, with one of those who are asked."""
        return self._ledger.spent(role, place, asked)

    @contextmanager
    def _recorded(
        self, question: Question, asked: str, rung: Rung, attempt: Attempt, bill: Bill | None, tariff: Tariff | None
    ) -> Iterator[None]:
        if bill is not None:  # so that a kill while it is under way leaves a trace of what may be paid for
            least = Usage(prompt_tokens(question), estimated=True)
            money = tariff.money(least) if tariff else None
            self._book.write([book.begun_line(question, asked, least.tokens, money)])
        started = time.monotonic()
        try:
            yield
        except BaseException as raised:
            attempt.error = attempt.error or type(raised).__name__
            raise
        finally:
            reply, usage, money = attempt.reply, None, None
            error = attempt.error or (None if reply else "no reply")
            if bill is not None:
                usage = _usage(question, attempt)
                money = tariff.money(usage) if tariff else None
                bill.spent = Spent(1, int(error is not None), usage, money)
                if reply is not None or attempt.usage is not None:
                    self._habits.learn(asked, question.room, usage)
            seconds = time.monotonic() - started
            self._book.write([book.request_line(question, asked, rung, reply, error, usage, money, seconds)])

    def _copy(self, place: str) -> None:
        """All that a place has cost goes over when it is first asked about: also what failed or was discarded."""
        assert self._recording is not None
        lines = self._recording.lines(place, self._copied[place])
        if lines:
            self._book.write(lines)
            self._copied[place] += len(lines)
            for line in lines:
                self._count(line)

    def _count(self, line: Line) -> None:
        usage = book.usage_of(line)
        if usage is not None:
            failed = book.failed(line)
            spent = Spent(1, int(failed), usage, line["money"])
            self._ledger.charge(line["role"], line["place"], line["asked"], spent)
            if usage.completion_tokens or not failed:
                self._habits.learn(line["asked"], line.get("room"), usage)

    def _tariff(self, asked: str, settings: ModelSettings) -> Tariff | None:
        with self._lock:
            if asked not in self._tariffs:
                self._tariffs[asked] = known_price(settings)
            return self._tariffs[asked]


def _usage(question: Question, attempt: Attempt) -> Usage:
    if attempt.reply is not None:
        return attempt.reply.usage
    if attempt.usage is not None:
        return attempt.usage
    return Usage(prompt_tokens(question), estimated=True) if attempt.reached else Usage()


def _cost(usage: Usage, tariff: Tariff | None) -> Cost:
    return Cost(usage.tokens, tariff.money(usage) if tariff else 0.0)
