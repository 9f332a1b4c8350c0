"""What the graph remembers between steps: JSON-plain and small. Ids here, bodies in the run directory."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypedDict

Phase = Literal["search", "confirm", "plain"]
"""`plain`: at the end of an adapted main run, the same training without any signal."""
OutcomePhase = Literal["search", "confirm", "plain", "heat"]
"""`heat`: one part of a branch, whose scores count again in the whole branch."""


class Outcome(TypedDict):
    """What state keeps of an Evaluation."""

    candidate: str
    stage: int
    phase: OutcomePhase
    score: float | None
    error: str | None


class Promotion(TypedDict):
    """What the main run carries now."""

    candidate: str
    stage: int
    gain: float | None


class Words(TypedDict):
    """What was said for nothing."""

    tokens: int
    money: float | None


class Refusal(TypedDict):
    """Why a candidate that was trained on a branch of the main run was not promoted."""

    gain: float | None
    lower_bound: float | None
    reason: str


class Question(TypedDict):
    """To a person, about what the statistics accept; it waits while an edit of it is tried."""

    verdict: dict[str, Any]
    phase: Phase


class BranchTask(TypedDict):
    """The input of one parallel branch (a Send), not the whole state."""

    branch: str
    candidate: str
    stage: int
    round: int
    phase: Phase
    heat: int
    """From 1; 0 where the branch has no heats."""


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
    heat: int  # of the race under way, from 1
    racing: list[str]  # candidates that are still in it, or trained on to audit it
    dropped: dict[str, str]  # of this round's race: id -> why
    audited: list[str]  # of the dropped, those that are trained all the same
    refusals: dict[str, Refusal]  # of this stage
    race_cost: dict[str, int]  # of all races so far: the fields of a RaceCost
    finalists: dict[str, int]  # candidates that were sent into confirmation -> in which stage
    diagnosis: dict[str, Any] | None
    history: list[str]  # the last diagnoses and what came of them, one line each
    verdict: dict[str, Any] | None
    approved: bool | None
    edit: str | None  # a person's own signal, on trial in the place of what they were asked about
    questions: list[Question]  # that wait for the outcome of it, the innermost last
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
        heat=1,
        racing=[],
        dropped={},
        audited=[],
        refusals={},
        race_cost={},
        finalists={},
        diagnosis=None,
        history=[],
        verdict=None,
        approved=None,
        edit=None,
        questions=[],
        promotion=None,
        finished=False,
    )


NATIVE_ID = "native"
CONTROL_ID = "control"
"""Of an adapted main run: the incumbent, which is not always the native task."""
