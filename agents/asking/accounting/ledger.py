"""What the roles have spent, and whether the next call still fits what they may spend."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product

from marlsmith.agents.asking.accounting.prices import DIGITS
from marlsmith.agents.asking.question import NO_USAGE, Role, Usage
from marlsmith.agents.settings import Budget, Limits
from marlsmith.schemas import BudgetError, EndpointError, Interrupted

POLL = 0.1
"""Seconds between two looks at whether the run is to stop."""


@dataclass(frozen=True)
class Spent:
    """Calls are requests that went out, failed ones included. People are not paid: their answers are no calls."""

    calls: int = 0
    failed: int = 0
    usage: Usage = NO_USAGE
    money: float | None = None
    """Of the calls whose price is known; None where none is."""

    def __add__(self, other: Spent) -> Spent:
        known = [part.money for part in (self, other) if part.money is not None]
        return Spent(
            self.calls + other.calls,
            self.failed + other.failed,
            self.usage + other.usage,
            round(sum(known), DIGITS) if known else None,
        )


NOTHING = Spent()


@dataclass(frozen=True)
class Cost:
    """Of one call that is still to be made."""

    tokens: int
    money: float


@dataclass(eq=False)
class _Flight:
    """A call that waits to be made, or is under way."""

    role: Role
    likely: Cost
    most: Cost
    seconds: float
    """The longest that it may take once it is under way."""


@dataclass
class Bill:
    """Whoever makes the call says here what it took."""

    spent: Spent = NOTHING


_Account = tuple[Role | None, str | None, str | None]
"""What one role has spent at one place with one of those who are asked; None: with all of them."""


@dataclass(frozen=True)
class _Scope:
    """What one set of limits holds for: the run, or one role in it."""

    name: str
    limits: Limits
    spent: Spent
    flights: tuple[_Flight, ...]

    def refusal(self, likely: Cost) -> str | None:
        """Why a call cannot be made whatever those under way come to."""
        spent, limits = self.spent, self.limits
        begun = spent.calls + len(self.flights)
        if limits.calls is not None and begun + 1 > limits.calls:
            return self._words("calls", limits.calls, f"{begun:,} made")
        if limits.tokens is not None and spent.usage.tokens + likely.tokens > limits.tokens:
            state = f"{spent.usage.tokens:,} spent, the next call takes about {likely.tokens:,}"
            return self._words("tokens", limits.tokens, state)
        money = spent.money or 0.0
        if limits.money is not None and money + likely.money > limits.money:
            state = f"{money:.4g} spent, the next call costs about {likely.money:.4g}"
            return self._words("money", limits.money, state)
        return None

    def fits(self, most: Cost) -> bool:
        """Beside those under way, or alone: then `refusal` has the word."""
        if not self.flights:
            return True
        tokens = sum((flight.most.tokens for flight in self.flights), self.spent.usage.tokens + most.tokens)
        money = sum((flight.most.money for flight in self.flights), (self.spent.money or 0.0) + most.money)
        limits = self.limits
        return (limits.tokens is None or tokens <= limits.tokens) and (limits.money is None or money <= limits.money)

    def _words(self, unit: str, limit: float, state: str) -> str:
        option = unit if self.name == "run" else f"{self.name}.{unit}"
        return (
            f"the budget of the {self.name}, {unit}={limit}, does not suffice ({state}): "
            f"raise it with `--budget {option}=N` when you resume"
        )


class Ledger:
    """Of one run, for several threads. No budget is exceeded by more than one call that was under way.

    A call is let out beside others only while everything spent, the most that each call under way may take and
    the most of its own fit the limits together. Otherwise it waits until it is alone, and goes if its likely
    cost fits. Who came first goes first. `interrupted` ends all waits.
    """

    def __init__(self, budget: Budget | None = None, interrupted: threading.Event | None = None) -> None:
        self._budget = budget or Budget()
        self._interrupted = interrupted or threading.Event()
        self._changed = threading.Condition()
        self._spent: dict[_Account, Spent] = {}
        self._waiting: deque[_Flight] = deque()
        self._flying: list[_Flight] = []

    def spent(self, role: Role | None = None, place: str | None = None, asked: str | None = None) -> Spent:
        with self._changed:
            return self._sum(role, place, asked)

    def charge(self, role: Role, place: str, asked: str, spent: Spent) -> None:
        with self._changed:
            self._charge(role, place, asked, spent)

    @contextmanager
    def admitted(self, role: Role, place: str, asked: str, likely: Cost, most: Cost, seconds: float) -> Iterator[Bill]:
        """Around one call, which takes at most so many seconds; what its bill says is charged when it ends.

        Raises BudgetError where the call does not fit the budget, EndpointError where those before it do not come
        back, and Interrupted.
        """
        flight, bill = _Flight(role, likely, most, seconds), Bill()
        self._admit(flight)
        try:
            yield bill
        finally:
            with self._changed:
                self._flying.remove(flight)
                self._charge(role, place, asked, bill.spent)
                self._changed.notify_all()

    def _admit(self, flight: _Flight) -> None:
        with self._changed:
            # As long as those before it may take one after the other, by their own timeouts.
            patience = sum((other.seconds for other in (*self._flying, *self._waiting)), flight.seconds)
            end = time.monotonic() + patience
            self._waiting.append(flight)
            try:
                while not self._may_go(flight):
                    if time.monotonic() >= end:
                        raise EndpointError(f"calls under way have not come back within {patience:.0f} s")
                    self._changed.wait(min(POLL, end - time.monotonic()))
                self._flying.append(flight)
            finally:
                self._waiting.remove(flight)
                self._changed.notify_all()

    def _may_go(self, flight: _Flight) -> bool:
        if self._interrupted.is_set():
            raise Interrupted()
        scopes = list(self._scopes(flight.role))
        for scope in scopes:
            if refusal := scope.refusal(flight.likely):
                raise BudgetError(refusal)
        return self._waiting[0] is flight and all(scope.fits(flight.most) for scope in scopes)

    def _scopes(self, role: Role) -> Iterable[_Scope]:
        yield _Scope("run", self._budget.run, self._sum(), tuple(self._flying))
        mine = tuple(flight for flight in self._flying if flight.role == role)
        yield _Scope(role, getattr(self._budget, role), self._sum(role), mine)

    def _sum(self, role: Role | None = None, place: str | None = None, asked: str | None = None) -> Spent:
        return self._spent.get((role, place, asked), NOTHING)

    def _charge(self, role: Role, place: str, asked: str, spent: Spent) -> None:
        for account in product((role, None), (place, None), (asked, None)):
            self._spent[account] = self._sum(*account) + spent
