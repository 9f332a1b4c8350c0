"""From a question to an answer that has been parsed and validated, or an exception.

Two things can go wrong. A PausingError: nobody answers, so the run pauses and the user acts. An AnswerError:
somebody answers, but not in a usable form even after one repair turn, so the run notes it and goes on.
"""

from __future__ import annotations

from collections.abc import Callable

from marlsmith.agents.asking.accounts import Accounts
from marlsmith.agents.asking.question import Answer, AnswerError, Message, Question, Reply, Role, TextForm, Wire
from marlsmith.agents.asking.reading import Fault, read, without_reasoning
from marlsmith.prompts import Prompts
from marlsmith.schemas import printable


class Client:
    """Puts questions to one model, or one person. Safe to share between threads."""

    def __init__(self, wire: Wire, accounts: Accounts, prompts: Prompts | None = None) -> None:
        self.name = wire.name
        self._wire = wire
        self._accounts = accounts
        self._prompts = prompts or Prompts()

    def ask(
        self,
        role: Role,
        place: str,
        system: str,
        user: str,
        schema: type[Answer],
        *,
        complaints: Callable[[Answer], list[str]] | None = None,
        combine: Callable[[Answer, Answer], Answer] | None = None,
        text_form: TextForm[Answer] | None = None,
    ) -> Answer:
        """The role's answer to a question, validated; one repair turn quotes the exact fault.

        `complaints` names what is wrong with an answer whose form is right. It too is sent back, once.
        `combine` then makes one answer of the first and the second; without it, the one with fewer
        complaints stands. What does not hold in that answer is for the caller to drop.

        Raises AnswerError for an unusable answer, PausingError for none, UserError where it cannot be recorded.
        """
        messages: tuple[Message, ...] = (
            {"role": "system", "content": system},
            {"role": "user", "content": user},
        )
        question = Question(role, place, messages, schema, text_form.hint if text_form else None)
        reply = self._whole(question)
        first: Answer | None = None
        faults: list[str] = []
        try:
            first = read(reply, schema, text_form)
            faults = complaints(first) if complaints else []
            if not faults:
                return first
            fault = "; ".join(faults)
        except Fault as caught:
            fault = str(caught)

        messages += (
            {"role": "assistant", "content": without_reasoning(reply.text) or "(nothing)"},
            {"role": "user", "content": self._prompts.render("answer/repair", fault=fault)},
        )
        try:
            second = read(self._whole(Question(role, place, messages, schema, question.hint)), schema, text_form)
        except (Fault, AnswerError) as still:
            if first is not None:
                return first
            if isinstance(still, AnswerError):
                raise
            raise AnswerError(f"{self.name} as {role}: unusable after a repair turn: {still}") from None
        if first is None or complaints is None:
            return second
        if combine is not None:
            return combine(first, second)
        return first if len(faults) < len(complaints(second)) else second

    def _whole(self, question: Question) -> Reply:
        """A reply that was neither cut short (one retry with more room) nor refused."""
        reply = self._reply(question)
        if reply.cut:
            reply = self._reply(question.with_room(max(8192, 4 * reply.usage.completion_tokens)))
        who = f"{self.name} as {question.role}"
        if reply.refusal or reply.finish_reason == "content_filter":
            raise AnswerError(f"{who}: declined to answer: {printable(reply.refusal or 'filtered', 200)}")
        if reply.cut:
            raise AnswerError(f"{who}: the answer was cut short twice (finish_reason {reply.finish_reason})")
        return reply

    def _reply(self, question: Question) -> Reply:
        return self._accounts.recall(question, self._wire.asked) or self._wire.send(question)
