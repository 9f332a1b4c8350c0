"""What the roles are told, and what they say."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from marlsmith.schemas.base import Record
from marlsmith.schemas.outcome import Evaluation
from marlsmith.schemas.signal import Candidate, Signal
from marlsmith.schemas.task import Scope, TaskCard

FailureKind = Literal[
    "exploration",
    "credit_assignment",
    "overlap",
    "collision",
    "precision",
    "communication",
    "instability",
    "reward_hacking",
    "none",
]


class Citation(Record):
    """A piece of evidence by its key, with the number that stands there."""

    key: str
    value: float


class Finding(Record):
    failure: FailureKind
    evidence: tuple[Citation, ...] = ()
    advice: str


class Diagnosis(Record):
    summary: str
    findings: tuple[Finding, ...] = ()
    dropped: SkipJsonSchema[tuple[str, ...]] = ()
    """What was said and did not hold, for the trace: no role is asked for it, or told it as a fact."""


class Review(Record):
    """A validator's word on a candidate: before it costs a training, or before it is promoted."""

    approve: bool
    reasons: tuple[str, ...] = ()


class Verdict(Record):
    """The judge's decision and its statistics."""

    decision: Literal["race", "refine", "confirm", "accept", "keep"]
    candidate: str | None = None
    reason: str
    gain: float | None = Field(None, description="mean paired score difference, candidate minus control")
    interval: tuple[float, float] | None = Field(None, description="of the gain, two-sided 95%")
    lower_bound: float | None = Field(None, description="of the gain, one-sided at `level`")
    level: float | None = None


class Proposal(Record):
    """What a generator answers: a signal and why."""

    signal: Signal
    kind: Literal["new", "mutate", "crossover", "tune", "repair"]
    parents: tuple[str, ...] = ()
    rationale: str
    slot: int | None = Field(None, description="that it fills; None: the next one that it was asked for")
    tokens: int = Field(0, description="that its making took")
    money: float | None = Field(None, description="that its making took; None where no price is known")


class ToolUse(Record):
    """A role tried something before it answered; `place` says for which question, `number` counts its uses."""

    role: str
    author: str
    place: str
    number: int = Field(description="from 1")
    tool: str
    result: str
    took: float = Field(description="seconds")


class Elite(Record):
    """A parent as the generator sees it: what it was, how it reads as code, and what came of it."""

    candidate: Candidate
    code: str
    evaluation: Evaluation


class Refused(Elite):
    """A candidate that was trained on a branch of the main run and not promoted, and why."""

    gain: float | None = Field(None, description="mean paired score difference to the control")
    lower_bound: float | None = Field(None, description="of the gain, which had to exceed the margin")
    reason: str = Field(description="the gate's, the race's or the validator's")


class MainRun(Record):
    """The training that keeps its results, as a role is told of it where its signal is adapted under way."""

    stages: int = Field(description="of the whole run")
    steps: int = Field(description="environment steps of each member so far")
    until: int = Field(description="environment steps of each member at its end")
    branch_steps: int = Field(description="environment steps of each member in a branch, as in a stage")
    fade: float | None = Field(None, description="share of its steps after which the shaped reward falls to 0")
    evaluation: Evaluation | None = Field(None, description="after the latest stage, on episodes that decide nothing")


class Rejection(Record):
    """A candidate that a check or a review refused, and why."""

    candidate: Candidate
    problems: tuple[str, ...]


class Tried(Record):
    """A candidate of the run in a line: what it was, and what came of it."""

    id: str
    kind: str
    parents: tuple[str, ...] = ()
    summary: str
    score: float | None = None
    gain: float | None = Field(None, description="the score minus that of its stage's control")
    leads: bool = Field(False, description="whether no earlier candidate had a greater gain")
    refused: str | None = Field(None, description="why it was not trained, or has no score")
    came: str | None = Field(None, description="of a branch of the main run: promoted, or why not")


class ProposalBrief(Record):
    """Everything a generator may know when it proposes."""

    task: TaskCard
    count: int = Field(description="proposals wanted", ge=1)
    slots: tuple[int, ...] = Field((), description="their numbers among the round's, from 1; empty: the first `count`")
    evolve: Literal["reward", "observation", "both"]
    scope: Scope
    signals: Literal["config", "any"]
    reward_mode: Literal["replace", "add"]
    stage: int
    round: int
    attempt: int = Field(0, description="0, then one more for each repair pass of this round")
    elites: tuple[Elite, ...] = Field((), description="best first")
    control: Evaluation | None = Field(None, description="the native task under the same seeds and steps")
    failed: tuple[Rejection, ...] = Field((), description="branches of this stage that ended in an error")
    rejected: tuple[Rejection, ...] = Field((), description="to be repaired now, one proposal for each")
    diagnosis: Diagnosis | None = None
    tried: tuple[str, ...] = Field((), description="signals of this run as canonical JSON")
    past: tuple[Tried, ...] = Field((), description="the latest candidates of this run, in their order")
    main: MainRun | None = Field(None, description="None: candidates are trained from scratch")
    incumbent: Elite | None = Field(None, description="the signal that the main run carries; None: it is native")
    refused: tuple[Refused, ...] = Field((), description="of this stage, the best first")
    seed: int


class DiagnosisBrief(Record):
    """Everything a critic may know: numbers under keys that it can cite."""

    task: TaskCard
    stage: int
    round: int
    evidence: dict[str, float]
    elites: tuple[Elite, ...] = ()
    history: tuple[str, ...] = Field((), description="earlier diagnoses and what came of them")
    main: MainRun | None = Field(None, description="None: candidates are trained from scratch")
    incumbent: Elite | None = Field(None, description="the signal that the main run carries; None: it is native")


class ReviewBrief(Record):
    task: TaskCard
    candidate: Candidate
    code: str
    scope: Scope
    reward_mode: Literal["replace", "add"]
    tried: tuple[str, ...] = ()


class PromotionBrief(Record):
    """A candidate that the statistics accept, and what its training and the control's came to on fresh seeds."""

    task: TaskCard
    candidate: Candidate
    code: str
    scope: Scope
    reward_mode: Literal["replace", "add"]
    verdict: Verdict
    evaluation: Evaluation
    control: Evaluation
    main: MainRun | None = Field(None, description="None: candidate and control were trained from scratch")
