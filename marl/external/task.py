"""An environment of others as a task: its card, and P x E copies of it behind a channel."""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import Tensor

from marlsmith.marl.external import wire
from marlsmith.marl.external.client import Channel
from marlsmith.marl.external.launch import EnvironmentServer, examine
from marlsmith.marl.external.source import Found, Source, SourceField
from marlsmith.marl.external.wire import Layout
from marlsmith.marl.tasks.base import Episodes, Outcome, State
from marlsmith.schemas import (
    ContinuousActions,
    DiscreteActions,
    Metric,
    ObservationPart,
    StateField,
    TaskCard,
    UserError,
)


class ExternalTask:
    """Without a channel it starts a server of its own, in the first `open`, for as long as the task is used."""

    def __init__(self, source: Source, found: Found, channel: Channel | None = None) -> None:
        self.source = source
        self.found = found
        self.layout = Layout.parse(found.layout)
        self.card = task_card(source, found)
        self._channel = channel

    @classmethod
    def named(cls, reference: str) -> ExternalTask:
        """Raises UserError where the environment cannot be a task."""
        return cls(*examine(reference))

    def open(self, generators: Sequence[torch.Generator], environments: int) -> ExternalEnvironments:
        if self._channel is None:
            server = EnvironmentServer(self.source, self.found, hosts=1)
            weakref.finalize(self, server.stop)
            self._channel = Channel(server.connection)
        return ExternalEnvironments(self, self._channel, generators, environments)

    def metrics(self, episodes: Episodes) -> dict[str, Tensor]:
        """The card's metrics, each [P, E]."""
        score, alive = self.source.score, episodes.alive
        per_step = episodes.reward.mean(-1) if score.from_ == "reward" else episodes.state["score"][1:]
        native = (episodes.reward.mean(-1) * alive).sum(0)
        values = {score.metric: reduced(per_step, alive, score.reduce)}
        return {"native_return": native, "episode_length": alive.sum(0).float(), **values}


def reduced(values: Tensor, alive: Tensor, how: str) -> Tensor:
    """One number per episode from one per step, [T, P, E] -> [P, E]; steps after the end do not count."""
    if how == "max":
        return values.masked_fill(~alive, -math.inf).amax(0)
    if how == "last":
        return values.gather(0, alive.sum(0, keepdim=True).clamp(min=1) - 1).squeeze(0)
    total = (values * alive).sum(0)
    return total / alive.sum(0).clamp(min=1) if how == "mean" else total


# ---------------------------------------------------------------- environments


class ExternalEnvironments:
    """P x E environments in other processes. They cannot be saved: `load` starts new episodes."""

    def __init__(
        self, task: ExternalTask, channel: Channel, generators: Sequence[torch.Generator], environments: int
    ) -> None:
        self.task = task
        self.generators = generators
        self.clock = torch.zeros(len(generators), environments, dtype=torch.int64)
        self.lost = 0
        """Episodes that went down with a process of theirs, and were truncated."""
        self._channel = channel
        self._shape = (len(generators), environments)
        self._group, records = channel.open(task.layout, self._seeds(range(len(generators))).flatten().tolist())
        self._records = records.copy()
        self._show()

    def _seeds(self, members: Sequence[int]) -> NDArray[np.int64]:
        """[P, E], drawn by some members for all their environments, zeros for the others: nobody's numbers depend on
        anybody else's episodes.
        """
        seeds = np.zeros(self._shape, dtype=np.int64)
        for member in members:
            seeds[member] = drawn_seeds(self.generators[member], self._shape[1])
        return seeds

    def step(self, action: Tensor) -> Outcome:
        kind, _ = self.task.layout.action
        plain = np.ascontiguousarray(action.detach().cpu().numpy().reshape(-1, *action.shape[2:]), dtype=kind)
        found = self._channel.step(self.task.layout, self._group, plain.tobytes()).copy()
        if (lost := found["lost"] > 0).any():
            # Nobody saw what this step led to: what was known before it stands, and the episode is cut short.
            found[lost] = self._records[lost]
            found["reward"][lost] = 0.0
            found["terminated"][lost] = False
            found["truncated"][lost] = True
            self.lost += int(lost.sum())
        self._records = found
        self.clock = self.clock + 1
        self._show()
        return Outcome(
            self._tensor(found["reward"]),
            self._tensor(found["terminated"]).bool(),
            self._tensor(found["truncated"]).bool(),
        )

    def restart(self, where: Tensor) -> None:
        seeds = self._seeds([member for member, ended in enumerate(where.any(1).tolist()) if ended]).reshape(-1)
        which = np.flatnonzero(where.cpu().numpy())
        if not len(which):
            return
        fresh = self._channel.restart(self.task.layout, self._group, which.tolist(), seeds[which].tolist())
        self._records[which] = fresh
        self.clock = torch.where(where, 0, self.clock)
        self._show()

    def _show(self) -> None:
        """Tensors of the records: all copies, so that nothing that was handed out changes."""
        records, layout = self._records, self.task.layout
        self.observation = self._tensor(records["observation"])
        self.active: Tensor | None = self._tensor(records["active"]).bool()
        self.available: Tensor | None = None if layout.continuous else self._tensor(records["available"]).bool()
        self.state = self._state()

    def _state(self) -> State:
        extras = dict(self._extras())
        state: State = {name: value for name, value in extras.items() if name in ("score", "global_state")}
        for field in self.task.source.fields:
            state[field.name] = _cut(field, self.observation, extras)
        return state

    def _extras(self) -> Iterator[tuple[str, Tensor]]:
        at, whole = 0, self._tensor(self._records["extra"])
        for name, shape in self.task.layout.extras:
            size = math.prod(shape)
            yield name, whole[..., at : at + size].reshape(*self._shape, *shape)
            at += size

    def _tensor(self, values: NDArray[Any]) -> Tensor:
        """[P * E, ...] of the records -> [P, E, ...] on the device that is in use."""
        plain = np.array(values).reshape(*self._shape, *values.shape[1:])  # a copy, and aligned
        return torch.as_tensor(plain, device=torch.get_default_device())

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Only the clock: what happens in an environment of others cannot be saved."""
        yield "clock", self.clock

    def load(self, saved: Mapping[str, Tensor]) -> None:
        """Start new episodes everywhere, by the generators as they are now."""
        self.restart(torch.ones_like(saved["clock"], dtype=torch.bool))

    def close(self) -> None:
        self._channel.close_group(self.task.layout, self._group)


def drawn_seeds(draws: torch.Generator, environments: int) -> NDArray[np.int64]:
    """With which seeds a member's environments are reset, [E]."""
    drawn = torch.randint(wire.SEEDS, (environments,), generator=draws, device=draws.device)
    return np.asarray(drawn.cpu().numpy(), dtype=np.int64)


def _cut(field: SourceField, observation: Tensor, extras: Mapping[str, Tensor]) -> Tensor:
    """A declared state field, from observations [P, E, N, D], the infos or the global state."""
    if field.columns is not None:
        value = observation[..., slice(*field.columns)]
        if field.agent is not None:
            value = value[:, :, field.agent]
    elif field.state is not None:
        value = extras["global_state"][..., slice(*field.state)]
    else:
        value = extras[f"info:{field.info}"]
    return value if field.shape is None or field.info is not None else value.unflatten(-1, field.shape)


# ---------------------------------------------------------------- the card


def task_card(source: Source, found: Found) -> TaskCard:
    """What roles and people are told. Raises UserError where the source's fields do not fit the environment."""
    layout = Layout.parse(found.layout)
    extras = dict(layout.extras)
    actions = ContinuousActions if layout.continuous else DiscreteActions
    score = source.score
    metric = Metric(name=score.metric, unit=score.unit, meaning=score.meaning)
    try:
        return TaskCard(
            name=source.name,
            description=found.description,
            agents=layout.agents,
            actions=actions(meanings=found.actions),
            observation_size=layout.observation,
            horizon=found.horizon,
            fields=(*_further_fields(source, extras), *(_field(one, source, layout) for one in source.fields)),
            observation=tuple(_parts(source, layout)),
            entities=source.entities,
            target=source.target,
            goal=source.goal,
            reach=source.reach,
            collide=source.collide,
            metrics=(metric, *(one for one in OTHER_METRICS if one.name != metric.name)),
            score=metric.name,
            sparsity=source.sparsity
            or f"in a random episode, {found.rewarded:.1%} of the steps gave anybody a reward other than zero",
        )
    except ValidationError as error:
        message = error.errors()[0]["msg"].removeprefix("Value error, ").rstrip(".")
        raise UserError(f"The card of {source.name} is not sound: {message}.") from None


OTHER_METRICS = (
    Metric(name="native_return", unit="per agent and episode", meaning="undiscounted sum of the native reward"),
    Metric(name="episode_length", unit="steps", meaning="environment steps until the episode ended"),
)


def _further_fields(source: Source, extras: Mapping[str, tuple[int, ...]]) -> Iterator[StateField]:
    if "score" in extras:
        yield StateField(
            name="score",
            shape="[B]",
            unit=source.score.unit,
            meaning=f"what the score is made of: {source.score.from_}",
        )
    if "global_state" in extras:
        yield StateField(
            name="global_state",
            shape=f"[B, {extras['global_state'][0]}]",
            unit="",
            meaning="the environment's own global state",
        )


def _field(field: SourceField, source: Source, layout: Layout) -> StateField:
    """Raises UserError where the environment has no such numbers."""
    extras = dict(layout.extras)
    for what, span, size in (
        ("the observation", field.columns, layout.observation),
        ("the global state", field.state, extras.get("global_state", (0,))[0]),
    ):
        if span is not None and span[1] > size:
            raise UserError(
                f"The card of {source.name} is not sound: field {field.name!r} ends at column {span[1]}, "
                f"and {what} has {size}."
            )
    if field.agent is not None and field.agent >= layout.agents:
        raise UserError(
            f"The card of {source.name} is not sound: field {field.name!r} is of agent {field.agent}, "
            f"and the last one is {layout.agents - 1}."
        )
    if field.info is not None:
        shape = extras[f"info:{field.info}"]
        axes = ["N" if k == 0 and n == layout.agents else str(n) for k, n in enumerate(shape)]
    else:
        start, stop = field.columns or field.state or (0, 0)
        inner = [str(size) for size in field.shape or (stop - start,)]
        axes = ["N", *inner] if field.columns is not None and field.agent is None else inner
    return StateField(
        name=field.name, shape=f"[{', '.join(('B', *axes))}]", unit=field.unit, meaning=field.meaning or field.name
    )


def _parts(source: Source, layout: Layout) -> Iterator[ObservationPart]:
    """The columns that the card names, and in between those that it does not."""
    named = [(one.columns, one) for one in source.fields if one.columns is not None and one.agent is None]
    at = 0
    for (start, stop), one in sorted(named, key=lambda pair: pair[0]):
        if at < start:
            yield _unnamed(at, start, layout)
        yield ObservationPart(
            name=one.name, start=start, stop=stop, kind=one.kind, of=one.of, meaning=one.meaning or one.name
        )
        at = max(at, stop)
    if at < layout.observation:
        yield _unnamed(at, layout.observation, layout)


def _unnamed(start: int, stop: int, layout: Layout) -> ObservationPart:
    whole = start == 0 and stop == layout.observation
    name = "observation" if whole else f"columns_{start}_to_{stop}"
    return ObservationPart(
        name=name, start=start, stop=stop, kind="other", of="self", meaning="as the environment gives it"
    )
