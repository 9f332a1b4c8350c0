"""What the graph remembers between steps: JSON-plain and small. Ids here, bodies in the run directory."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypedDict

Phase = Literal["search", "confirm"]


class Outcome(TypedDict):
    """What state keeps of an Evaluation."""

    candidate: str
    stage: int
    phase: Phase
    score: float | None
    error: str | None


class Promotion(TypedDict):
    """What the main run carries now."""

    candidate: str
    stage: int
    gain: float


class Words(TypedDict):
    """What was said for nothing."""

    tokens: int
    money: float | None


class BranchTask(TypedDict):
    """The input of one parallel branch (a Send), not the whole state."""

    branch: str
    candidate: str
    stage: int
    phase: Phase


def merge_outcomes(old: dict[str, Outcome], new: dict[str, Outcome]) -> dict[str, Outcome]:
    """Parallel branches each write their own key; LangGraph merges them in task order."""
    return {**old, **new}


class State(TypedDict, total=False):
    stage: int
    round: int
    attempt: int  # repair pass within the round
    phase: Phase
    proposed: list[str]  # every candidate of the run, in order
    unanswered: dict[str, list[Words]]  # slots of a first pass that a generator was given and left empty
    pending: list[str]  # proposed and not yet checked
    accepted: list[str]  # of this round
    rejected: dict[str, list[str]]  # of the last check, waiting for their repair: id -> problems
    population: list[str]  # best first
    evaluated: Annotated[dict[str, Outcome], merge_outcomes]  # by branch
    finalists: dict[str, int]  # candidates that were sent into confirmation -> in which stage
    diagnosis: dict[str, Any] | None
    history: list[str]  # the last diagnoses and what came of them, one line each
    verdict: dict[str, Any] | None
    approved: bool | None
    promotion: Promotion | None
    finished: bool


def initial_state() -> State:
    return State(
        stage=0,
        round=0,
        attempt=0,
        phase="search",
        proposed=[],
        unanswered={},
        pending=[],
        accepted=[],
        rejected={},
        population=[],
        evaluated={},
        finalists={},
        diagnosis=None,
        history=[],
        verdict=None,
        approved=None,
        promotion=None,
        finished=False,
    )


NATIVE_ID = "native"


def control_branch(stage: int) -> str:
    return f"control-s{stage}"


def confirm_branch(search_branch: str) -> str:
    """`s1r2c3-confirm`, `control-s1-confirm`. A candidate is confirmed at most once in a run."""
    return f"{search_branch}-confirm"
