"""What a call will take, before it is made: its likely tokens, and the most that they may come to."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from dataclasses import dataclass, field

from marlsmith.agents.asking.question import Question, Usage
from marlsmith.agents.settings import ModelSettings

BYTES_OF_A_TOKEN = 4
MESSAGE_TOKENS = 8
"""What a chat template puts round a message."""
FIRST_COMPLETION = 1000
"""Tokens of an answer, where none has been seen."""
UNBOUNDED = 10**9
"""Tokens of an answer that nothing limits: a model that thinks may take any number after short answers."""


def tokens_in(text: str) -> int:
    """About so many, for any tokeniser: four bytes each."""
    return -(-len(text.encode("utf-8", "replace")) // BYTES_OF_A_TOKEN)


def prompt_tokens(question: Question) -> int:
    return tokens_in(_prompt(question)) + MESSAGE_TOKENS * len(question.messages)


def _prompt(question: Question) -> str:
    said = [json.dumps(list(question.messages), ensure_ascii=False), question.hint or ""]
    return "".join(said + [json.dumps(vars(tool), ensure_ascii=False) for tool in question.tools])


@dataclass
class _Habit:
    answers: int = 0
    tokens: int = 0
    largest: int = 0
    """Of the answers to questions that said nothing of their room."""
    deaf: bool = False
    """It has given a longer answer than it was allowed."""


@dataclass
class Habits:
    """What each model has taken for its answers so far. Safe to share between threads."""

    _seen: defaultdict[str, _Habit] = field(default_factory=lambda: defaultdict(_Habit))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def learn(self, asked: str, room: int | None, usage: Usage) -> None:
        """From an answer to a question that had so much room of its own."""
        with self._lock:
            habit = self._seen[asked]
            habit.answers += 1
            habit.tokens += usage.completion_tokens
            if room is None:
                habit.largest = max(habit.largest, usage.completion_tokens)
            elif usage.completion_tokens > room:
                habit.deaf = True

    def likely(self, question: Question, asked: str, settings: ModelSettings) -> Usage:
        with self._lock:
            habit = self._seen[asked]
            answer = habit.tokens // habit.answers if habit.answers else FIRST_COMPLETION
        return Usage(prompt_tokens(question), min(answer, _room(question, settings) or answer), estimated=True)

    def most(self, question: Question, asked: str, settings: ModelSettings, *, limited: bool = True) -> Usage:
        """A bound that holds. `limited`: the request says how long its answer may be, where anything does.

        Whether an endpoint keeps to what it is told shows in its answers: the first is bounded by nothing, and
        after one that was too long, none is.
        """
        room = _room(question, settings) if limited else None
        with self._lock:
            habit = self._seen[asked]
            obeys = habit.answers > 0 and not habit.deaf and habit.largest <= (settings.max_tokens or UNBOUNDED)
        sent = _prompt(question) + json.dumps(question.schema.model_json_schema())
        prompt = len(sent.encode("utf-8", "replace")) + 2 * MESSAGE_TOKENS * len(question.messages)
        return Usage(prompt, room if room is not None and obeys else UNBOUNDED, estimated=True)


def _room(question: Question, settings: ModelSettings) -> int | None:
    return question.room or settings.max_tokens
