"""The vocabulary of a run's trace: what nodes tell the stream, `--json` prints and events.jsonl keeps.

The driver adds `seconds`, `tokens` and `money` (of the run, over all its processes; None where no price is known)
to every event. An event that a killed process has already written is recognised by its `identity` and not
written twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from pydantic import Field

from marlsmith.agents.asking.question import Role
from marlsmith.graph.approving.case import ApprovalCase
from marlsmith.graph.methods import RunSettings
from marlsmith.graph.proposing.bandit import Share
from marlsmith.graph.state import Phase
from marlsmith.schemas import (
    Code,
    Diagnosis,
    Evaluation,
    FailureStage,
    Feature,
    JailReport,
    ObservationConfig,
    Record,
    RewardConfig,
    Signal,
    Term,
    ToolUse,
    Verdict,
    visible,
)

Event = dict[str, Any]


class RunStarted(Record):
    """Once per process that works on the run."""

    event: Literal["run_started"] = "run_started"
    run: str
    resumed: bool
    settings: RunSettings
    jail: JailReport | None = Field(None, description="as it was found when this process began")


class RunPaused(Record):
    """A process has stopped before the run's end, and why. One that was killed could not say so."""

    event: Literal["paused"] = "paused"
    reason: str


class StageStarted(Record):
    event: Literal["stage_started"] = "stage_started"
    stage: int
    stages: int
    rounds: int
    search_seeds: tuple[int, ...]
    confirm_seeds: tuple[int, ...]
    rests: str | None = Field(None, description="why nobody is asked for candidates in it")


class Diagnosed(Record):
    event: Literal["diagnosis"] = "diagnosis"
    stage: int
    round: int
    author: str
    diagnosis: Diagnosis


class Allotted(Record):
    """Which generator proposes for which slots of a round, and why: only where several share the run."""

    event: Literal["allotted"] = "allotted"
    stage: int
    round: int
    shares: dict[str, Share]


class Proposed(Record):
    """`own_tokens` and `own_money` are what its making took; those of the run so far stand beside them."""

    event: Literal["proposal"] = "proposal"
    stage: int
    round: int
    attempt: int
    candidate: str
    author: str
    kind: str
    parents: tuple[str, ...]
    rationale: str
    own_tokens: int = 0
    own_money: float | None = None
    summary: str


class Checked(Record):
    """`by` says who refused: the rules of the method, the executor's checks, or the validator.

    `problems` say why it was refused, `reasons` why the validator let it pass.
    """

    event: Literal["check"] = "check"
    candidate: str
    accepted: bool
    by: Literal["rules", "executor", "validator"] | None = None
    stage: FailureStage | None = Field(None, description="of the executor's checks, that refused it")
    problems: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


class RepairAsked(Record):
    """The generator is asked to mend what a pass of `check` refused."""

    event: Literal["repair"] = "repair"
    stage: int
    round: int
    attempt: int
    repairs: int
    candidates: tuple[str, ...]


class Checks(Record):
    """What one pass of `check` found, as it is kept on disk."""

    checks: tuple[Checked, ...]


class ToolCall(Record):
    event: Literal["tool_call"] = "tool_call"
    tool: str
    branch: str
    candidate: str
    arguments: dict[str, Any]


class RoleTool(ToolUse):
    event: Literal["role_tool"] = "role_tool"


class ToolProgress(Record):
    """A few times a second; never persisted."""

    event: Literal["progress"] = "progress"
    branch: str
    candidate: str
    steps: int
    total: int
    score: float | None


class ToolResult(Record):
    event: Literal["tool_result"] = "tool_result"
    tool: str
    branch: str
    candidate: str
    evaluation: Evaluation


class Compared(Record):
    """A candidate of a round that is judged against the control, as far as it was trained."""

    candidate: str
    seeds: int
    score: float | None
    gain: float | None = Field(description="mean paired score difference to the control under these seeds")
    interval: tuple[float, float] | None = Field(description="of the gain, two-sided 95%")
    lower_bound: float | None = Field(description="of the gain, one-sided at the level of the test")
    came: Literal["racing", "dropped", "failed", "passed", "confirmed", "refused", "taken", "left"]
    audited: bool = Field(False, description="the race had dropped it, and it was trained on all the same")
    reason: str = ""


class Judged(Record):
    """`control` and `compared` only where a main run is adapted: all of the round, or who was confirmed."""

    event: Literal["judged"] = "judged"
    stage: int
    round: int
    heat: int = Field(1, description="of a race, after which it was judged")
    phase: Phase
    verdict: Verdict
    population: tuple[str, ...]
    edit: str | None = Field(None, description="a person's signal, on trial by itself after the round's candidates")
    control: float | None = Field(None, description="its score, over all its seeds")
    compared: tuple[Compared, ...] = ()


class PromotionReviewed(Record):
    """The validator's word on what the statistics accept."""

    event: Literal["promotion_review"] = "promotion_review"
    stage: int
    candidate: str
    author: str
    approve: bool
    reasons: tuple[str, ...]


class Approval(ApprovalCase):
    """A question to a person with its grounds, or the answer to it without."""

    event: Literal["approval"] = "approval"
    stage: int
    candidate: str
    asking: int = Field(1, description="which time it is asked: it stands again after an edit that failed")
    status: Literal["asked", "approved", "refused", "edited"]
    verdict: Verdict
    reason: str = Field("", description="of the answer, in the person's words")
    edit: str | None = Field(None, description="the candidate that the person put in its place, to be tried first")
    waiting: str | None = Field(None, description="of an edit that has passed: whom a no asks about again")


class Promoted(Record):
    event: Literal["promoted"] = "promoted"
    stage: int
    candidate: str
    gain: float | None = Field(description="None where a method without a gate took it as it is")


class Advanced(Record):
    """The main run after a stage, on fresh episodes; stage 0, or that of a search before it, is its start."""

    event: Literal["advanced"] = "advanced"
    stage: int
    steps: int = Field(description="environment steps of each member")
    branch: str = Field(description="that it became")
    candidate: str = Field(description="the incumbent: whose signal it goes on with, or native")
    score: float | None
    scores: tuple[float, ...]
    interval: tuple[float, float] | None
    metrics: dict[str, float]
    alarm: str | None
    rolled_back_to: int | None


class Warned(Record):
    event: Literal["warning"] = "warning"
    stage: int
    round: int
    message: str


class Standing(Record):
    """How a signal did under some seeds."""

    score: float
    scores: tuple[float, ...]
    interval: tuple[float, float] | None
    metrics: dict[str, float]


class CandidateStanding(Standing):
    candidate: str


class Gain(Record):
    """Mean paired score difference to the native task, two-sided 95% interval."""

    mean: float
    interval: tuple[float, float] | None


class JailStanding(Record):
    """Over all processes that worked on the run."""

    sound: bool = Field(description="each of them found its jail sound")
    unsafe: bool = Field(description="one of them was told --unsafe-jail")


class ValidatorEffect(Record):
    """What the validator did to the run."""

    refused: int = Field(description="candidates, before their training")
    vetoed: int = Field(description="promotions that the statistics accepted")
    steps_saved: int = Field(description="environment steps of slots that were never trained because of it")


class Player(Record):
    """Who played a role, and what its calls took, failed ones included. The sums are those of the whole run."""

    role: Role
    name: str | None = Field(description="in the settings; None: of a model that the settings named before")
    model: str | None = Field(None, description="None: no model, but a person or our own rules")
    address: str | None = None
    calls: int = 0
    failed: int = 0
    tokens: int = 0
    cached_tokens: int = Field(0, description="part of the tokens")
    reasoning_tokens: int = Field(0, description="part of the tokens")
    money: float | None = Field(None, description="None where no price is known")
    currency: Literal["US dollars"] | None = Field(None, description="None: that of the price in the settings")


class LapStanding(Record):
    """The main run after a stage, on episodes by which no signal is selected."""

    stage: int
    steps: int = Field(description="environment steps of each member")
    candidate: str
    score: float | None
    interval: tuple[float, float] | None
    rolled_back_to: int | None


class MainRunStory(Record):
    """An adapted main run from its start to its end, and what the search beside it cost."""

    laps: tuple[LapStanding, ...]
    peak: float
    final: float
    area: float = Field(description="under the laps' scores over environment steps, divided by these: a mean score")
    competence: float | None = Field(description="rank correlation of candidates' gains half-way and at a branch's end")
    pairs: int = Field(description="candidates that it rests on")
    dropped: int = Field(description="candidates that the race stopped early")
    audited: int = Field(description="of these, trained to their end all the same")
    missed: int = Field(description="of these, such as the gate would have let pass")
    steps_saved: int = Field(description="environment steps that the race did not spend")
    main_steps: int = Field(description="environment steps of the main run, all members")
    search_steps: int = Field(description="environment steps beside it: branches, confirmations, the plain training")


class Finished(Record):
    """The last event. `native`, `best` and `gain` are None where nothing was there to be measured.

    `phase` says on which seeds they stand: `confirm` are fresh ones, `search` are those that chose the best. Of an
    adapted main run both are its own members on fresh episodes: `best` the main run at its end, whose `candidate` is
    the last incumbent, and `native` the same training without any signal.

    DESIGN section 8 counts `seconds` and `tokens` among its fields: the driver adds them, as to every event.
    """

    event: Literal["finished"] = "finished"
    run: str
    native: Standing | None
    best: CandidateStanding | None
    gain: Gain | None
    phase: Phase
    promoted: bool
    reason: str
    environment_steps: int
    main: MainRunStory | None = Field(None, description="None where all was trained from scratch")
    validator: ValidatorEffect | None = Field(None, description="None where nobody was to review")
    roles: tuple[Player, ...] = ()
    jail: JailStanding | None = Field(None, description="None where no process wrote down what it found")


_IDENTITY: dict[str, tuple[str, ...]] = {
    "stage_started": ("stage",),
    "diagnosis": ("stage", "round"),
    "allotted": ("stage", "round"),
    "proposal": ("candidate",),
    "check": ("candidate",),
    "repair": ("stage", "round", "attempt"),
    "role_tool": ("author", "place", "number"),
    "tool_call": ("branch",),
    "tool_result": ("branch",),
    "judged": ("stage", "round", "phase", "heat", "edit"),
    "advanced": ("stage",),
    "promotion_review": ("candidate",),
    "approval": ("candidate", "asking", "status"),
    "promoted": ("stage",),
    "warning": ("stage", "round", "message"),
    "finished": (),
}


def identity(event: Event) -> tuple[Any, ...] | None:
    """What two tellings of the same event have in common; None where each telling stands for itself."""
    keys = _IDENTITY.get(event["event"])
    return None if keys is None else (event["event"], *(event[key] for key in keys))


def seen(event: Event) -> Event:
    """As it may be shown to a person: a run may come from anybody, and what hides in its texts is written out."""
    return {name: _seen(value) for name, value in event.items()}


def _seen(value: Any) -> Any:
    match value:
        case str():
            return visible(value)
        case dict():
            return {_seen(key): _seen(each) for key, each in value.items()}
        case list() | tuple():
            return [_seen(each) for each in value]
    return value


def summary(signal: Signal) -> str:
    """A signal in a line, for people: `reward: approach(optimal) x1, collision x0.5 (alpha 0.5)`."""
    parts: list[str] = []
    match signal.reward:
        case RewardConfig(terms=terms, alpha=alpha):
            named = ", ".join(f"{_named(term)} x{term.weight:g}" for term in terms)
            parts.append(f"reward: {named} (alpha {alpha:g})")
        case Code(source=source):
            parts.append(f"reward: code, {len(source.splitlines())} lines")
    match signal.observation:
        case ObservationConfig(features=features, scope=scope):
            parts.append(f"observation ({scope}): {', '.join(map(_named, features))}")
        case Code(source=source):
            parts.append(f"observation: code, {len(source.splitlines())} lines")
    return " | ".join(parts) or "native"


def _named(part: Term | Feature) -> str:
    """`reach(optimal, 0.1)`: the kind with what tells it from its like."""
    plain = type(part)().model_dump()
    changed = {k: v for k, v in part.model_dump().items() if k in _SHOWN and (v != plain[k] or k in _ALWAYS)}
    said = ", ".join(_SHOWN[k](v) for k, v in changed.items())
    kind: str = plain["kind"]
    return f"{kind}({said})" if said else kind


_ALWAYS = ("assignment", "threshold")
_SHOWN: dict[str, Callable[[Any], str]] = {
    "assignment": str,
    "threshold": "{:g}".format,
    "form": str,
    "scale": "scale {:g}".format,
    "distance": "{:g}".format,
    "radius": "{:g}".format,
    "credit": str,
    "potential": lambda _: "potential",
    "fade": lambda fade: f"fades {fade['start']:g}-{fade['end']:g}",
}
