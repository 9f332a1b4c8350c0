"""The three roles as the graph meets them. Who stands behind one (rules, a model, a person) is no matter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from marlsmith.schemas import Diagnosis, DiagnosisBrief, Proposal, ProposalBrief, Review, ReviewBrief, Signal


class Workbench(Protocol):
    """Where a generator may try a signal before it proposes it. Neither call raises, and both are bounded."""

    def check(self, signal: Signal) -> list[str]:
        """What speaks against the signal; empty where nothing does."""
        ...

    def probe(self, signal: Signal) -> str:
        """What its terms and features come to on stored states, in a few lines for a prompt, or why not."""
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

    def review(self, brief: ReviewBrief) -> Review: ...


@dataclass(frozen=True)
class Roles:
    """`validator` is None where nobody is to review."""

    generators: tuple[Generator, ...]
    critic: Critic
    validator: Validator | None
