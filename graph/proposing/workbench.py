"""Where generators try their signals before they propose them: the same rules and checks that decide later."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from marlsmith.graph.judging import judgement
from marlsmith.graph.methods import RunSettings, branch_rows
from marlsmith.marl.executor import Cancelled, Executor
from marlsmith.schemas import Failure, Signal, SignalValues, TermValues, ToolUse, UserError, Values, printable

MOST_COLUMNS = 24
"""Of features that are told one by one."""


class ExecutorWorkbench:
    """Safe to use from several threads."""

    def __init__(self, executor: Executor, settings: RunSettings) -> None:
        self._executor, self._settings = executor, settings
        self._rows = branch_rows(settings)
        self._hear: Callable[[ToolUse], None] | None = None

    def check(self, signal: Signal) -> list[str]:
        method = self._settings.method
        if found := judgement.breaches(signal, method, {}):
            return found
        try:
            failures = self._executor.check(signal, self._settings.task, method.scope, rows=self._rows)
        except (UserError, Cancelled) as error:
            return [_unable(error)]
        return [failure.message for failure in failures]

    def probe(self, signal: Signal) -> str:
        if found := self.check(signal):
            return "\n".join(["It would be refused, so it was not probed:", *(f"- {problem}" for problem in found)])
        try:
            values = self._executor.probe(signal, self._settings.task, rows=self._rows)
        except (UserError, Cancelled) as error:
            return _unable(error)
        return f"It cannot be probed: {values.message}" if isinstance(values, Failure) else described(values)

    def tell(self, use: ToolUse) -> None:
        if self._hear is not None:
            self._hear(use)

    @contextmanager
    def heard(self, hear: Callable[[ToolUse], None]) -> Iterator[None]:
        """Uses inside are told to `hear`, from whatever thread they come.

        LangGraph's writer finds its stream through context variables, which a thread of a role lacks.
        """
        surroundings = contextvars.copy_context()
        self._hear = lambda use: surroundings.copy().run(hear, use)
        try:
            yield
        finally:
            self._hear = None


def _unable(error: Exception) -> str:
    return f"this cannot be tried now ({printable(str(error), 200)}): answer without"


def described(values: SignalValues) -> str:
    """In some lines for a prompt: what varies, how much, and whether it goes with the task."""
    lines = [f"Values on {values.rows} stored states, made and played ones."]
    if values.reward is not None:
        lines.append("Reward terms, before ALPHA:")
        lines += [f"- {name}: {_term(term)}" for name, term in values.terms.items()]
        lines.append(f"- the whole reward: {_term(values.reward)}")
    if values.features:
        lines.append("Features, by column:")
        lines += [f"- {number}: {_told(column)}" for number, column in enumerate(values.features[:MOST_COLUMNS])]
        if len(values.features) > MOST_COLUMNS:
            lines.append(f"- and {len(values.features) - MOST_COLUMNS} more columns")
    return "\n".join(lines)


def _term(term: TermValues) -> str:
    native = "" if term.native is None else f"; correlation with the native reward {term.native:.2f}"
    means = ", ".join(f"{kind} {mean:.3g}" for kind, mean in term.means.items())
    return f"{_told(term)}{native}" + (f"; mean in {means}" if means else "")


def _told(values: Values) -> str:
    if values.spread == 0:
        return f"always {values.mean:.3g}"
    return (
        f"mean {values.mean:.3g}, spread {values.spread:.3g}, from {values.least:.3g} to {values.most:.3g}, "
        f"not zero in {values.share:.0%}"
    )
