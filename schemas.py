"""Records that cross rooms: frozen, validated at the door, plain JSON on disk.

DESIGN words: a *signal* is what a role designs, a *candidate* is a proposed signal, a *branch* its short
training, a *score* the task's own frozen metric (higher is better, never the shaped reward).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class UserError(Exception):
    """Something the user can mend: one sentence that says what was wrong and what to do."""


class SignalError(Exception):
    """Something the author of a signal can mend; `stage` says which check refused it, `problems` all it found."""

    def __init__(self, message: str, stage: FailureStage = "static", problems: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.stage: FailureStage = stage
        self.problems = problems or (message,)


class EndpointError(Exception):
    """A model's endpoint does not answer: the run pauses and can be resumed."""


class Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


# ---------------------------------------------------------------- the task card


class StateField(Record):
    """A named tensor of the simulator's state, as reward code sees it: `state.NAME`."""

    name: str
    shape: str = Field(description="with B = members x environments, for instance '[B, N, 2]'")
    unit: str
    meaning: str


class Entity(Record):
    """A kind of body in the task, found in the state fields that it names."""

    name: str
    count: int
    position: str
    velocity: str | None = None
    present: str | None = Field(None, description="a field [B, count], above zero while the body is there")
    radius: float = Field(description="of the body, in the task's length unit")


class ObservationPart(Record):
    """Columns [start, stop) of one agent's observation."""

    name: str
    start: int
    stop: int
    kind: Literal["velocity", "position", "offset", "message", "goal", "other"]
    of: str = Field(
        description="'self', or the entity whose bodies these columns describe, in index order without itself; "
        "of a goal: 'self' where it is the agent's own, 'agent' where it is the other's"
    )
    meaning: str
    agents: tuple[int, ...] | None = Field(None, description="which agents have these columns; None: all of them")
    stride: int = Field(2, ge=2, description="columns from one body to the next; the first two are its place")
    unseen: float | None = Field(None, description="what stands in both columns of the place where a body is not seen")


class Metric(Record):
    name: str
    unit: str
    meaning: str


class Actions(Record):
    meanings: tuple[tuple[str, ...], ...] = Field(description="by agent, then by index or component")

    @property
    def size(self) -> int:
        """A: actions, or components, of the agent that has most."""
        return max(map(len, self.meanings))

    def by_agents(self) -> list[tuple[list[int], tuple[str, ...]]]:
        """Agents whose actions mean the same, and what they mean."""
        found: dict[tuple[str, ...], list[int]] = {}
        for agent, meanings in enumerate(self.meanings):
            found.setdefault(meanings, []).append(agent)
        return [(agents, meanings) for meanings, agents in found.items()]


class DiscreteActions(Actions):
    """Agents choose one action by index; where some have fewer, the rest is unavailable to them."""

    kind: Literal["discrete"] = "discrete"


class ContinuousActions(Actions):
    """Agents set numbers in -1..1, which the task scales to its own bounds."""

    kind: Literal["continuous"] = "continuous"


class TaskCard(Record):
    """What roles and people are told of a task."""

    name: str
    description: str
    agents: int
    actions: Annotated[DiscreteActions | ContinuousActions, Field(discriminator="kind")]
    observation_size: int = Field(description="of the agent that sees most; the others' columns are zero behind theirs")
    horizon: int = Field(description="environment steps of an episode")
    fields: tuple[StateField, ...]
    observation: tuple[ObservationPart, ...]
    entities: tuple[Entity, ...] = ()
    target: str | None = Field(None, description="the entity that agents are to reach, where the task is of that kind")
    goal: str | None = Field(None, description="a field [B, N], the index of each agent's own target; -1 for none")
    reach: float | None = Field(None, gt=0, description="distance at which a target counts as reached")
    collide: float | None = Field(None, gt=0, description="distance of centres below which two agents collide")
    metrics: tuple[Metric, ...]
    score: str = Field(description="the metric that decides")
    sparsity: str = Field(description="how rarely the native reward says anything")

    @model_validator(mode="after")
    def _consistent(self) -> TaskCard:
        fields, entities = {field.name for field in self.fields}, {entity.name for entity in self.entities}
        for entity in self.entities:
            for name in filter(None, (entity.position, entity.velocity, entity.present)):
                if name not in fields:
                    raise ValueError(
                        f"entity {entity.name!r} names the field {name!r}, which is not among {sorted(fields)}"
                    )
        if self.target is not None:
            for name in ("agent", self.target):
                if name not in entities:
                    raise ValueError(f"there is no entity {name!r} among {sorted(entities)}")
            if self.reach is None:
                raise ValueError("a task with a target must say at which distance it counts as reached")
        if self.goal is not None and (self.target is None or self.goal not in fields):
            raise ValueError(f"the goal {self.goal!r} must be one of the fields {sorted(fields)}, and needs a target")
        if len(self.actions.meanings) != self.agents:
            raise ValueError(f"actions are told for {len(self.actions.meanings)} agents, and there are {self.agents}")
        if self.score not in {metric.name for metric in self.metrics}:
            raise ValueError(f"the score {self.score!r} is none of the metrics")
        for part in self.observation:
            if not 0 <= part.start < part.stop <= self.observation_size:
                raise ValueError(
                    f"part {part.name!r} [{part.start}:{part.stop}] lies outside {self.observation_size} columns"
                )
            if part.of not in entities | {"self"}:
                raise ValueError(f"part {part.name!r} is of {part.of!r}, which is no entity")
        return self

    def entity(self, name: str) -> Entity:
        return next(entity for entity in self.entities if entity.name == name)

    def part(self, kind: str, of: str) -> ObservationPart | None:
        """The observation's columns of this kind, or None where the task does not observe it."""
        return next((part for part in self.observation if part.kind == kind and part.of == of), None)

    def sight(self, of: str) -> tuple[ObservationPart, ...] | None:
        """What tells an agent where these bodies are: their offsets, or their positions and its own; else None."""
        if (offsets := self.part("offset", of)) is not None:
            return (offsets,)
        positions, own = self.part("position", of), self.part("position", "self")
        return None if positions is None or own is None else (positions, own)

    def seers(self, *parts: ObservationPart) -> tuple[int, ...]:
        """The agents whose observation has all these parts."""
        return tuple(i for i in range(self.agents) if all(part.agents is None or i in part.agents for part in parts))

    @property
    def vanishes(self) -> bool:
        """Whether targets may be gone before the episode ends."""
        return self.target is not None and self.entity(self.target).present is not None

    def has_rule(self, rule: Assignment) -> bool:
        """Whether the rule has a meaning in this task. optimal: a target for each agent, and none vanishes.

        own: the task's goal, or else targets that stay.
        """
        if self.target is None:
            return False
        if rule == "optimal":
            return not self.vanishes and self.agents <= self.entity(self.target).count
        return rule != "own" or self.goal is not None or not self.vanishes

    def goal_part(self, scope: Scope) -> ObservationPart | None:
        """The columns from which agents learn their own goal; None where nobody can.

        In team scope two agents may read it off each other's observation: a goal of 'agent' is the partner's.
        """
        own = self.part("goal", "self")
        return self.part("goal", "agent") if own is None and scope == "team" and self.agents == 2 else own

    @property
    def teammate_columns(self) -> int:
        """Of all other agents' observations together."""
        return (self.agents - 1) * self.observation_size


# ---------------------------------------------------------------- the signal: one genome, two forms

Assignment = Literal["nearest", "optimal", "own", "together"]
"""Which target is whose. nearest: of each agent. optimal: each another one, with the least summed distance.
own: what the task gives the agent (its goal), else target i modulo targets. together: one for the team, with the
least summed distance. No rule chooses a target that is gone."""
Credit = Literal["agent", "team"]
Scope = Literal["own", "team"]

Weight = Annotated[float, Field(ge=-100, le=100)]
Distance = Annotated[float, Field(gt=0, le=1e6)]


class Fade(Record):
    """Annealing: the weight falls linearly to zero between two fractions of the training."""

    start: float = Field(0.0, ge=0, le=1)
    end: float = Field(1.0, ge=0, le=1)

    @model_validator(mode="after")
    def _ordered(self) -> Fade:
        if self.start >= self.end:
            raise ValueError(f"fade starts at {self.start} and must end later, not at {self.end}")
        return self


class Term(Record):
    """One shaping term. Values are signed so that a positive weight serves the task."""

    weight: Weight = 1.0
    credit: Credit = Field("agent", description="each agent its own value, or the team's mean for all")
    potential: bool = Field(False, description="use GAMMA * value(now) - value(before) (Ng et al. 1999)")
    fade: Fade | None = None


class Approach(Term):
    """Minus the distance to the assigned target (or its square, or exp(-distance / scale)); 0 if none is left."""

    kind: Literal["approach"] = "approach"
    assignment: Assignment = "nearest"
    form: Literal["linear", "squared", "exponential"] = "linear"
    scale: Distance = 0.3


class Progress(Term):
    """How much nearer the assigned target came in this step; 0 where it is gone."""

    kind: Literal["progress"] = "progress"
    potential: Literal[False] = Field(False, description="it is a difference already")
    assignment: Assignment = "nearest"


class Reach(Term):
    """1 while the assigned target is there and within the threshold."""

    kind: Literal["reach"] = "reach"
    assignment: Assignment = "nearest"
    threshold: Distance = 0.1


class UniqueCoverage(Term):
    """Share of the targets left with an agent within the threshold; as agent credit, 1 for the one nearest to one.

    In a task with goals: share of agents within the threshold of their own goal; as agent credit, 1 for each of them.
    """

    kind: Literal["unique_coverage"] = "unique_coverage"
    threshold: Distance = 0.1


class TeamDistance(Term):
    """Minus the mean, over targets, of the distance of the nearest agent; 0 for a target that is gone.

    In a task with goals: minus the mean, over agents that have a goal, of the distance to their own.
    """

    kind: Literal["team_distance"] = "team_distance"
    credit: Literal["team"] = "team"


class TeamSuccess(Term):
    """1 while targets are left and each has an agent within the threshold.

    In a task with goals: 1 while each agent that has a goal is within the threshold of its own.
    """

    kind: Literal["team_success"] = "team_success"
    credit: Literal["team"] = "team"
    threshold: Distance = 0.1


class Collision(Term):
    """Minus the number of other agents nearer than the distance."""

    kind: Literal["collision"] = "collision"
    distance: Distance = 0.3


class Crowding(Term):
    """Minus the summed depth by which other agents stand within the radius, as a share of it."""

    kind: Literal["crowding"] = "crowding"
    radius: Distance = 0.5


class SlowNearTarget(Term):
    """Minus the speed while the assigned target is within the threshold."""

    kind: Literal["slow_near_target"] = "slow_near_target"
    assignment: Assignment = "nearest"
    threshold: Distance = 0.2


class Native(Term):
    """The task's own reward."""

    kind: Literal["native"] = "native"
    potential: Literal[False] = Field(False, description="it is no function of the state alone")


AnyTerm = Annotated[
    Approach
    | Progress
    | Reach
    | UniqueCoverage
    | TeamDistance
    | TeamSuccess
    | Collision
    | Crowding
    | SlowNearTarget
    | Native,
    Field(discriminator="kind"),
]


class Feature(Record):
    """Columns appended to an agent's observation, computed from that observation (scope own).

    They are zero for agents whose observation lacks what the feature reads.
    """


class TargetOffset(Feature):
    """Vector to the assigned target: 2 columns, zero where none is seen."""

    kind: Literal["target_offset"] = "target_offset"
    assignment: Assignment = "nearest"


class TargetDistance(Feature):
    """Distance to the assigned target: 1 column, zero where none is seen."""

    kind: Literal["target_distance"] = "target_distance"
    assignment: Assignment = "nearest"


class TargetIndex(Feature):
    """Which target is assigned, one-hot in the order of the observation: a column per target."""

    kind: Literal["target_index"] = "target_index"
    assignment: Assignment = "nearest"


class ThresholdMargin(Feature):
    """Threshold minus distance to the assigned target: 1 column, positive inside, -threshold where none is seen."""

    kind: Literal["threshold_margin"] = "threshold_margin"
    assignment: Assignment = "nearest"
    threshold: Distance = 0.1


class TargetDistances(Feature):
    """Distance to every target: a column per target, zero where it is not seen."""

    kind: Literal["target_distances"] = "target_distances"


class TargetClaims(Feature):
    """For every target 1 where this agent is the nearest one to it: a column per target."""

    kind: Literal["target_claims"] = "target_claims"


class AgentDistances(Feature):
    """Distance to every other agent: a column per other agent, zero where it is not seen."""

    kind: Literal["agent_distances"] = "agent_distances"


class NearestAgentOffset(Feature):
    """Vector to the nearest other agent: 2 columns, zero where none is seen."""

    kind: Literal["nearest_agent_offset"] = "nearest_agent_offset"


class Speed(Feature):
    """Norm of the agent's own velocity: 1 column."""

    kind: Literal["speed"] = "speed"


MOST_TEAMMATE_COLUMNS = 192
"""Of teammate_observations; beyond, a signal might have more features than the checks allow."""


class TeammateObservations(Feature):
    """The other agents' whole observations: team scope only, for it breaks decentralised execution."""

    kind: Literal["teammate_observations"] = "teammate_observations"


AnyFeature = Annotated[
    TargetOffset
    | TargetDistance
    | TargetIndex
    | ThresholdMargin
    | TargetDistances
    | TargetClaims
    | AgentDistances
    | NearestAgentOffset
    | Speed
    | TeammateObservations,
    Field(discriminator="kind"),
]


class RewardConfig(Record):
    """LERO Eq. 1: R_i = alpha * sum(agent terms) + (1 - alpha) * sum(team terms)."""

    form: Literal["config"] = "config"
    alpha: float = Field(0.5, ge=0, le=1)
    terms: tuple[AnyTerm, ...] = Field(min_length=1, max_length=16)


class ObservationConfig(Record):
    """LERO Eq. 2: the features are appended to the observation."""

    form: Literal["config"] = "config"
    scope: Scope = "own"
    features: tuple[AnyFeature, ...] = Field(min_length=1, max_length=16)

    @model_validator(mode="after")
    def _honest_scope(self) -> ObservationConfig:
        if self.scope == "own" and any(feature.kind == "teammate_observations" for feature in self.features):
            raise ValueError("teammate_observations reads the other agents' rows: it needs scope 'team'")
        return self


class Code(Record):
    """A Python module that defines agent_reward and global_reward, or enhance_observation, or all three."""

    form: Literal["code"] = "code"
    source: str = Field(max_length=100_000)


class Signal(Record):
    """A hybrid reward, an observation enhancement, or both; an absent part leaves the native one."""

    reward: Annotated[RewardConfig | Code, Field(discriminator="form")] | None = None
    observation: Annotated[ObservationConfig | Code, Field(discriminator="form")] | None = None

    @property
    def is_native(self) -> bool:
        return self.reward is None and self.observation is None


NATIVE = Signal()


class Proposal(Record):
    """What a generator answers: a signal and why."""

    signal: Signal
    kind: Literal["new", "mutate", "crossover", "repair"]
    parents: tuple[str, ...] = ()
    rationale: str


class Candidate(Record):
    id: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")
    stage: int
    round: int
    author: str
    kind: Literal["native", "new", "mutate", "crossover", "repair"]
    parents: tuple[str, ...] = ()
    rationale: str
    signal: Signal


# ---------------------------------------------------------------- what a branch yields

FailureStage = Literal["static", "dynamic", "timeout", "memory", "jail", "crash", "environment"]
"""What refused or ended it. `environment`: the task's own, which is no fault of the candidate."""


class Failure(Record):
    """Why a check or a branch failed. The message comes from candidate code: untrusted, short, printable."""

    stage: FailureStage
    message: str

    @field_validator("message")
    @classmethod
    def _printable(cls, message: str) -> str:
        return printable(message, 300)


class TermStatistics(Record):
    """One reward term over the last tenth of a training, before weighting by alpha."""

    mean: float
    spread: float = Field(description="standard deviation over agents, environments and steps")
    share: float = Field(description="of the summed mean absolute values of all terms, 0..1")


class CurvePoint(Record):
    """Where a training stood after so many steps, mean over members."""

    steps: int
    score: float = Field(description="greedy play on a few fixed episodes, other ones than those that decide")
    native_return: float = Field(description="of the same play, per agent and episode")
    shaped_return: float = Field(description="of the exploring policy in its last rollout, per agent and episode")


class Evaluation(Record):
    """A branch's outcome. Failures are values: a failed branch has an error and no score."""

    candidate: str
    branch: str
    seeds: tuple[int, ...]
    steps: int = Field(description="environment steps of each seed")
    error: Failure | None = None
    score: float | None = Field(None, description="interquartile mean over seeds")
    scores: tuple[float, ...] = Field((), description="one per seed, mean over the evaluation episodes")
    interval: tuple[float, float] | None = Field(None, description="95%, stratified bootstrap")
    metrics: dict[str, float] = Field(default_factory=dict, description="interquartile mean over seeds")
    behaviour: dict[str, float] = Field(default_factory=dict, description="mean over seeds and agents")
    terms: dict[str, TermStatistics] = Field(default_factory=dict)
    curve: tuple[CurvePoint, ...] = ()
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    steps_per_second: float = Field(0.0, description="environment steps of all seeds together")
    checkpoint: str | None = Field(None, description="path relative to the run directory")

    @model_validator(mode="after")
    def _score_or_error(self) -> Evaluation:
        if (self.error is None) == (self.score is None):
            raise ValueError("an evaluation has either a score or an error")
        return self


# ---------------------------------------------------------------- what the roles say

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


class Review(Record):
    """A validator's word on a candidate before it costs a training."""

    approve: bool
    reasons: tuple[str, ...] = ()


class Verdict(Record):
    """The judge's decision and its statistics."""

    decision: Literal["refine", "confirm", "accept", "keep"]
    candidate: str | None = None
    reason: str
    gain: float | None = Field(None, description="mean paired score difference, candidate minus control")
    interval: tuple[float, float] | None = Field(None, description="of the gain, two-sided 95%")
    lower_bound: float | None = Field(None, description="of the gain, one-sided at `level`")
    level: float | None = None


class Elite(Record):
    """A parent as the generator sees it: what it was, how it reads as code, and what came of it."""

    candidate: Candidate
    code: str
    evaluation: Evaluation


class Rejection(Record):
    """A candidate that a check or a review refused, and why."""

    candidate: Candidate
    problems: tuple[str, ...]


class ProposalBrief(Record):
    """Everything a generator may know when it proposes."""

    task: TaskCard
    count: int = Field(description="proposals wanted", ge=1)
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
    seed: int


class DiagnosisBrief(Record):
    """Everything a critic may know: numbers under keys that it can cite."""

    task: TaskCard
    stage: int
    round: int
    evidence: dict[str, float]
    elites: tuple[Elite, ...] = ()
    history: tuple[str, ...] = Field((), description="earlier diagnoses and what came of them")


class ReviewBrief(Record):
    task: TaskCard
    candidate: Candidate
    code: str
    scope: Scope
    reward_mode: Literal["replace", "add"]
    tried: tuple[str, ...] = ()


MOST_LISTED = 12
"""Actions that are listed one by one, where there is a shorter way."""


def listed(meanings: Sequence[str]) -> str:
    """`0 = stay, 1 = left`; a long list by its rule, where each meaning is "A, B" of few A and B, B changing first."""
    pairs = [tuple(meaning.split(", ", 1)) for meaning in meanings]
    if len(meanings) > MOST_LISTED and all(len(pair) == 2 for pair in pairs):
        outer, inner = (list(dict.fromkeys(parts)) for parts in zip(*pairs, strict=True))
        if pairs == [(a, b) for a in outer for b in inner]:
            return f"{len(inner)} i + j for i of ({_numbered(outer)}) and j of ({_numbered(inner)})"
    return _numbered(meanings)


def _numbered(meanings: Sequence[str]) -> str:
    return ", ".join(f"{number} = {meaning}" for number, meaning in enumerate(meanings))


def agents_by_number(agents: Sequence[int]) -> str:
    """`agent 0` or `agents 0, 2`."""
    return f"agent{'s' if len(agents) > 1 else ''} {', '.join(map(str, agents))}"


def printable(text: str, limit: int) -> str:
    """Text from outside, fit for a terminal and a log: one line, no control characters, at most `limit`."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def canonical(signal: Signal) -> str:
    """The same text for the same signal: for finding duplicates."""
    return signal.model_dump_json(exclude_none=True)


def plain(record: Record) -> dict[str, Any]:
    """A record as JSON-plain values, for the graph's state and the event log."""
    return record.model_dump(mode="json")
