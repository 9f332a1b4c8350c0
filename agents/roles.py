"""The three roles as the graph meets them. Who stands behind one (rules, a model, a person) is no matter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from marlsmith.schemas import Diagnosis, DiagnosisBrief, Proposal, ProposalBrief, Review, ReviewBrief


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
