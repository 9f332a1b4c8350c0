"""The signal, one genome in two forms: code, or a config in a typed vocabulary."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from marlsmith.schemas.base import Record
from marlsmith.schemas.task import Assignment, Scope

Credit = Literal["agent", "team"]

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


class Candidate(Record):
    id: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")
    stage: int
    round: int
    author: str
    kind: Literal["native", "new", "mutate", "crossover", "tune", "repair", "edit"]
    parents: tuple[str, ...] = ()
    rationale: str
    tokens: int = Field(0, description="that its making took")
    money: float | None = Field(None, description="that its making took; None where no price is known")
    signal: Signal


def canonical(signal: Signal) -> str:
    """The same text for the same signal: for finding duplicates."""
    return signal.model_dump_json(exclude_none=True)
