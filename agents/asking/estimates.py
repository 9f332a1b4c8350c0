"""What a call will take, before it is made: its likely tokens, and the most that they may come to."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from dataclasses import dataclass, field

from marlsmith.agents.asking.question import Question, Usage
from marlsmith.agents.settings import ModelSettings

BYTES_OF_A_TOKEN = 4
FEWEST_BYTES = 2
"""Of a token on average: numbers and code take more tokens than prose."""
MESSAGE_TOKENS = 8
"""What a chat template puts round a message."""
FIRST_COMPLETION = 1000
"""Tokens of an answer, where none has been seen."""
LEAST_BOUND = 32_768
"""Of an answer's tokens: a model that thinks may well take so many after short answers."""
UNBOUNDED = 10**9
"""Tokens of an answer, where none has been seen and the settings do not limit them."""


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


@dataclass
class Habits:
    """What each model has taken for its answers so far. Safe to share between threads."""

    _seen: defaultdict[str, _Habit] = field(default_factory=lambda: defaultdict(_Habit))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def learn(self, asked: str, usage: Usage) -> None:
        with self._lock:
            habit = self._seen[asked]
            habit.answers += 1
            habit.tokens += usage.completion_tokens
            habit.largest = max(habit.largest, usage.completion_tokens)

    def likely(self, question: Question, asked: str, settings: ModelSettings) -> Usage:
        with self._lock:
            habit = self._seen[asked]
            answer = habit.tokens // habit.answers if habit.answers else FIRST_COMPLETION
        return Usage(prompt_tokens(question), min(answer, _room(question, settings) or answer), estimated=True)

    def most(self, question: Question, asked: str, settings: ModelSettings) -> Usage:
        """A bound that holds as far as one is known: without a limit on answers, twice the longest one seen."""
        with self._lock:
            habit = self._seen[asked]
            answer = max(LEAST_BOUND, 2 * habit.largest) if habit.answers else UNBOUNDED
        sent = _prompt(question) + json.dumps(question.schema.model_json_schema())
        prompt = len(sent.encode("utf-8", "replace")) // FEWEST_BYTES + 2 * MESSAGE_TOKENS * len(question.messages)
        return Usage(prompt, _room(question, settings) or answer, estimated=True)


def _room(question: Question, settings: ModelSettings) -> int | None:
    return question.room or settings.max_tokens
