"""The task card: what roles and people are told of a task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from marlsmith.schemas.base import Record

Assignment = Literal["nearest", "optimal", "own", "together"]
"""Which target is whose. nearest: of each agent. optimal: each another one, with the least summed distance.
own: what the task gives the agent (its goal), else target i modulo targets. together: one for the team, with the
least summed distance. No rule chooses a target that is gone."""
Scope = Literal["own", "team"]
"""What features may read: the agent's own observation, or everybody's."""


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
    best: float | None = Field(None, description="the highest value that it can have; None: not known")


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
