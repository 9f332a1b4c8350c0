"""From a question to an answer that has been parsed and validated, or an exception.

Two things can go wrong. A PausingError: nobody answers, so the run pauses and the user acts. An AnswerError:
somebody answers, but not in a usable form even after one repair turn, so the run notes it and goes on.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from typing import Any

from marlsmith.agents.asking.accounting.accounts import Accounts
from marlsmith.agents.asking.accounting.ledger import Spent
from marlsmith.agents.asking.question import (
    Answer,
    Message,
    Question,
    Reply,
    Role,
    TextForm,
    Toolbox,
    ToolCall,
    Wire,
)
from marlsmith.agents.asking.reading import Fault, complete, read, without_reasoning
from marlsmith.prompts import Prompts
from marlsmith.schemas import AnswerError, Interrupted, PausingError, printable

LEAST_ROOM = 8192
"""Tokens for an answer that was cut short; a model that thinks needs as many."""
LONGEST_ECHO = 20_000
"""Characters of an unusable answer that are sent back with its fault."""
LONGEST_RESULT = 8_000
"""Characters of what a tool says."""


class Client:
    """Puts questions to one model, or one person. Safe to share between threads.

    `name`: two may be the same model, asked in different ways.
    """

    def __init__(self, wire: Wire, accounts: Accounts, prompts: Prompts | None = None, name: str | None = None) -> None:
        self.name = name or wire.name
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
        tools: Toolbox | None = None,
    ) -> Answer:
        """The role's answer to a question, validated; one repair turn quotes the exact fault.

        `complaints` names what is wrong with an answer whose form is right. It too is sent back, once.
        `combine` then makes one answer of the first and the second; without it, the one with fewer
        complaints stands. What does not hold in that answer is for the caller to drop.
        `tools` may be used before the first answer.

        Raises AnswerError for an unusable answer, PausingError for none, UserError where it cannot be recorded.
        """
        messages: tuple[Message, ...] = (
            {"role": "system", "content": system},
            {"role": "user", "content": user},
        )
        question = Question(role, place, messages, schema, text_form.hint if text_form else None)
        try:
            return self._answer(question, schema, complaints, combine, text_form, tools)
        except AnswerError:
            self.discard(place)  # a resume shall not read the same again
            raise

    def behind(self, gate: Callable[[], None]) -> Client:
        """The same client, but that a question which really goes out passes `gate` first.

        What the gate raises takes the place of an answer, and like one it is on record where it is a
        PausingError: so a replay, in which no gate is passed, knows which questions were never put.
        """
        gated = copy(self)
        gated._wire = _Gated(self._wire, gate)
        return gated

    def spent(self, place: str) -> Spent:
        """What its questions at a place have taken so far; those of others, whose slot it was, are not its own."""
        return self._accounts.spent(place=place, asked=self._wire.asked)

    def discard(self, place: str) -> None:
        """What was answered here turned out unusable after all: a resume shall not read the same again."""
        self._accounts.discard(place, self._wire.asked)

    def _answer(
        self,
        question: Question,
        schema: type[Answer],
        complaints: Callable[[Answer], list[str]] | None,
        combine: Callable[[Answer, Answer], Answer] | None,
        text_form: TextForm[Answer] | None,
        tools: Toolbox | None,
    ) -> Answer:
        if tools is not None and tools.tools and tools.most > 0:
            question, reply = self._with_tools(question, schema, text_form, tools)
        else:
            reply = self._whole(question, schema, text_form)
        first: Answer | None = None
        faults: list[str] = []
        try:
            first = read(reply, schema, text_form, self._accounts.keys)
            faults = complaints(first) if complaints else []
            if not faults:
                return first
            fault = "; ".join(faults)
        except Fault as caught:
            fault = str(caught)

        messages = (
            *question.messages,
            {"role": "assistant", "content": without_reasoning(reply.text)[:LONGEST_ECHO] or "(nothing)"},
            {"role": "user", "content": self._prompts.render("answer/repair", fault=fault)},
        )
        try:
            reply = self._whole(replace(question, messages=messages, fault=fault), schema, text_form)
            second = read(reply, schema, text_form, self._accounts.keys)
        except (Fault, AnswerError) as still:
            if first is not None:
                return first
            if isinstance(still, AnswerError):
                raise
            raise AnswerError(f"{self.name} as {question.role}: unusable after a repair turn: {still}") from None
        if first is None or complaints is None:
            return second
        if combine is not None:
            return combine(first, second)
        return first if len(faults) < len(complaints(second)) else second

    def _with_tools(
        self, question: Question, schema: type[Answer], text_form: TextForm[Answer] | None, toolbox: Toolbox
    ) -> tuple[Question, Reply]:
        """The reply after its calls, and the question with all of them in it, no more tools offered."""
        left = toolbox.most
        while left > 0:
            reply = self._whole(replace(question, tools=toolbox.tools), schema, text_form)
            if not reply.tool_calls:
                return question, reply
            calls = reply.tool_calls[:left]
            left -= len(calls)
            results = [toolbox.call(call.name, call.arguments)[:LONGEST_RESULT] for call in calls]
            if left == 0:
                results[-1] += "\n\n" + self._prompts.render("answer/now")
            exchange = self._accounts.exchange(question, self._wire.asked, _exchange(reply.text, calls, results))
            question = replace(question, messages=(*question.messages, *exchange))
        return question, self._whole(question, schema, text_form)

    def _whole(self, question: Question, schema: type[Answer], text_form: TextForm[Answer] | None) -> Reply:
        """A reply that was neither cut short (one retry with more room) nor refused."""

        def cut(reply: Reply) -> bool:
            if reply.finish_reason is None:  # a connection that broke off, or a server that never says
                return not (reply.refusal or reply.tool_calls or complete(reply, schema, text_form))
            return reply.cut

        reply = self._reply(question)
        if cut(reply):
            reply = self._reply(question.with_room(max(LEAST_ROOM, 4 * reply.usage.completion_tokens)))
        who = f"{self.name} as {question.role}"
        if reply.refusal or reply.filtered:
            raise AnswerError(f"{who}: declined to answer: {printable((reply.refusal or 'filtered')[:2000], 200)}")
        if cut(reply):
            raise AnswerError(f"{who}: the answer was cut short twice (finish_reason {reply.finish_reason})")
        return reply

    def _reply(self, question: Question) -> Reply:
        recalled = self._accounts.recall(question, self._wire.asked)
        if recalled is not None:
            return recalled
        if self._accounts.interrupted.is_set():
            raise Interrupted()
        try:
            return self._wire.send(question)
        except Interrupted:  # no answer, but no fact about who was asked either
            raise
        except (AnswerError, PausingError) as error:
            self._accounts.unanswered(question, self._wire.asked, error)
            raise


class _Gated:
    def __init__(self, wire: Wire, gate: Callable[[], None]) -> None:
        self.name, self.asked = wire.name, wire.asked
        self._wire, self._gate = wire, gate

    def send(self, question: Question) -> Reply:
        self._gate()
        return self._wire.send(question)


def _exchange(said: str, calls: tuple[ToolCall, ...], results: list[str]) -> tuple[Message, ...]:
    asked = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": _arguments(call)}}
        for call in calls
    ]
    answers: list[Message] = [
        {"role": "tool", "tool_call_id": call.id, "content": result}
        for call, result in zip(calls, results, strict=True)
    ]
    return ({"role": "assistant", "content": without_reasoning(said)[:LONGEST_ECHO], "tool_calls": asked}, *answers)


def _arguments(call: ToolCall) -> str:
    """As JSON in any case: an endpoint may refuse what its own model wrote."""
    try:
        given: Any = json.loads(call.arguments, strict=False)
    except (ValueError, RecursionError):
        given = None
    return json.dumps(given if isinstance(given, dict) else {"unreadable": call.arguments[:LONGEST_RESULT]})
