"""The three roles as the graph meets them. Who stands behind one (rules, a model, a person) is no matter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from marlsmith.schemas import (
    Diagnosis,
    DiagnosisBrief,
    PromotionBrief,
    Proposal,
    ProposalBrief,
    Review,
    ReviewBrief,
    Signal,
)


@dataclass(frozen=True)
class ToolUse:
    """That a role has tried something, for the trace."""

    role: str
    author: str
    place: str
    number: int
    """Of this place's uses, from 1."""
    tool: str
    result: str
    took: float
    """Seconds."""


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
        """`brief.count` proposals; the caller drops what goes beyond. Raises EndpointError where none can be had."""
        ...


class Critic(Protocol):
    name: str

    def diagnose(self, brief: DiagnosisBrief) -> Diagnosis: ...


class Validator(Protocol):
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
