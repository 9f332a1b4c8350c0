"""What a person is to know who decides about a promotion: JSON-plain, so that the question can wait on disk."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from marlsmith.schemas import CurvePoint, Diagnosis, Record


class Comparison(Record):
    """Candidate and control under the same seeds, in the same order."""

    gain: float | None = Field(None, description="mean paired score difference")
    interval: tuple[float, float] | None = Field(None, description="of the gain, two-sided 95%")
    scores: tuple[float, ...] = ()
    control_scores: tuple[float, ...] = ()


class Cost(Record):
    """What it took to come to this question, since the stage began."""

    environment_steps: int
    seconds: float
    tokens: int = 0
    money: float | None = Field(None, description="None where no price is known")


class ApprovalCase(Record):
    """The grounds of a promotion. Words and code come from roles, and are untrusted."""

    diagnosis: Diagnosis | None = None
    rationale: str = ""
    code: str = ""
    before: str = Field("", description="the code of the signal that would be replaced; empty where it is native")
    curves: dict[Literal["candidate", "control"], tuple[CurvePoint, ...]] = Field(default_factory=dict)
    search: Comparison | None = Field(None, description="on the seeds and episodes that have chosen the candidate")
    confirm: Comparison | None = Field(None, description="on fresh ones")
    cost: Cost | None = None
