"""What a model may try on a candidate of its own before it answers."""

from __future__ import annotations

import json
import time
from typing import Any

from marlsmith.agents.asking.question import Tool
from marlsmith.agents.generating.sketches import signal_of, sketched
from marlsmith.agents.roles import Workbench
from marlsmith.schemas import ProposalBrief, Signal, ToolUse, canonical, printable

MOST_CALLS = 4
RESULT_LENGTH = 6000
"""Characters; the values of the largest signal have fewer."""
SOUND = "Accepted: nothing speaks against training it."

# The whole schema of a configuration would cost more tokens than a candidate; the prompt has the vocabulary.
_PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "code": {"type": "string", "description": "the whole Python module, as in an answer"},
        "config": {"type": "object", "description": "or the configuration, as in an answer"},
    },
}
TOOLS = (
    Tool("check_candidate", "Holds a candidate against all rules that decide whether it is trained.", _PARAMETERS),
    Tool(
        "probe_terms",
        "Evaluates a candidate on stored states of random and trained play: the values of its reward terms and "
        "features. It does not train anything and knows no score.",
        _PARAMETERS,
    ),
)


class Tryout:
    """The toolbox of one question: bounded, and every fault is words for the model."""

    tools: tuple[Tool, ...] = TOOLS
    most: int = MOST_CALLS

    def __init__(self, workbench: Workbench, brief: ProposalBrief, author: str, place: str) -> None:
        self._workbench, self._brief, self._author, self._place = workbench, brief, author, place
        self._used = 0

    def call(self, name: str, arguments: str) -> str:
        started = time.monotonic()
        self._used += 1
        result = self._result(name, arguments)
        self._workbench.tell(
            ToolUse(
                role="generator",
                author=self._author,
                place=self._place,
                number=self._used,
                tool=printable(name, 40),
                result=printable(result, 300),
                took=round(time.monotonic() - started, 3),
            )
        )
        return result[:RESULT_LENGTH]

    def _result(self, name: str, arguments: str) -> str:
        if name not in {tool.name for tool in TOOLS}:
            return f"There is no such tool: call {' or '.join(tool.name for tool in TOOLS)}."
        try:
            signal = self._signal(arguments)
        except ValueError as error:
            return f"These arguments cannot be used: {printable(str(error), 400)}."
        if name == "probe_terms":
            return self._workbench.probe(signal)
        problems = self._workbench.check(signal)
        if canonical(signal) in self._brief.tried:
            problems = [*problems, "this very signal was tried already in this run"]
        return "\n".join(["Refused:", *(f"- {problem}" for problem in problems)]) if problems else SOUND

    def _signal(self, arguments: str) -> Signal:
        try:
            given = json.loads(arguments)
        except (ValueError, RecursionError):
            raise ValueError("they are no JSON") from None
        if not isinstance(given, dict):
            raise ValueError("they are no JSON object with `code` or `config`")
        return signal_of(sketched(given), self._brief)
