"""The three roles as the graph meets them. Who stands behind one (rules, a model, a person) is no matter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from marlsmith.schemas import (
    Diagnosis,
    DiagnosisBrief,
    PausingError,
    PromotionBrief,
    Proposal,
    ProposalBrief,
    Review,
    ReviewBrief,
    Signal,
    ToolUse,
)


class Unfinished(PausingError):
    """A generator could not be asked for all its slots; what it made of the others by then is not lost."""

    def __init__(self, made: Sequence[Proposal], cause: PausingError) -> None:
        super().__init__(str(cause))
        self.made, self.cause = tuple(made), cause


class Workbench(Protocol):
    """Where a generator may try a signal before it proposes it. No call raises, and all are bounded."""

    def check(self, signal: Signal) -> list[str]:
        """What speaks against the signal; empty where nothing does."""
        ...

    def probe(self, signal: Signal) -> str:
        """What its terms and features come to on stored states, in a few lines for a prompt, or why not."""
        ...

    def tell(self, use: ToolUse) -> None:
        """Passes on to the trace that it was used."""
        ...


class Generator(Protocol):
    name: str

    def propose(self, brief: ProposalBrief) -> list[Proposal]:
        """`brief.count` proposals; the caller drops what goes beyond, and does with fewer.

        Raises AnswerError where no answer is usable, and PausingError where none can be had: as Unfinished
        where some were.
        """
        ...


class Critic(Protocol):
    name: str

    def diagnose(self, brief: DiagnosisBrief) -> Diagnosis:
        """Raises AnswerError where no answer is usable, and PausingError where none can be had."""
        ...


class Validator(Protocol):
    """Both calls raise as a critic's does."""

    name: str

    def review(self, brief: ReviewBrief) -> Review:
        """A word on a candidate before it costs a training."""
        ...

    def confirm(self, brief: PromotionBrief) -> Review:
        """A word on a candidate that the statistics accept; what they refuse is never asked about."""
        ...


@dataclass(frozen=True)
class Roles:
    """`validator` is None where nobody is to review."""

    generators: tuple[Generator, ...]
    critic: Critic
    validator: Validator | None
