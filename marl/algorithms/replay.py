"""What off-policy algorithms remember: a ring over time in which the steps of an environment lie one after another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from marlsmith.marl.algorithms.base import Relabel, Rollout

MASKS = ("available_after", "active", "active_after")


@dataclass(frozen=True)
class Sequences:
    """U sequences of L steps for each member; fields as in `Rollout`, but [P, U, L, ...], and one team reward."""

    observation: Tensor
    after: Tensor
    action: Tensor
    reward: Tensor
    """[P, U, L]"""
    terminated: Tensor
    done: Tensor
    available_after: Tensor | None
    active: Tensor | None
    active_after: Tensor | None


class Replay:
    """The last steps of P members in E environments.

    What every update reads lies in one buffer `steps` [C, P, E, K], so that one gather fetches a batch. Masks
    and origins get their room at the first rollout, because only that says which of them the task has.
    """

    def __init__(
        self, capacity: int, members: int, environments: int, agents: int, observation: int, length: int
    ) -> None:
        """Room for `capacity` steps of each environment, rounded down to whole sequences of `length`."""
        self.length = length
        self.blocks = capacity // length
        self.capacity = self.blocks * length
        self.members = members
        self.environments = environments
        self.agents = agents
        self.steps = torch.zeros(self.capacity, members, environments, _width(agents, observation))
        self.masks: dict[str, Tensor] = {}
        self.origin: dict[str, Tensor] = {}
        self.position = torch.zeros((), dtype=torch.int64)
        """Where the next step will be written."""
        self.filled = torch.zeros((), dtype=torch.int64)
        """Steps of each environment that are held."""

    # ------------------------------------------------------------ writing

    @torch.no_grad()
    def add(self, rollout: Rollout) -> None:
        """Append the rollout's T <= capacity steps; they take the place of the oldest."""
        count = len(rollout.reward)
        if int(self.filled) == 0:
            masks = {name: mask for name in MASKS if (mask := getattr(rollout, name)) is not None}
            self.masks = {name: self._room(mask) for name, mask in masks.items()}
            self.origin = {name: self._room(value) for name, value in rollout.origin.items()}
        packed = _pack(rollout)
        start = int(self.position)
        here = min(count, self.capacity - start)
        for source, goal in ((slice(0, here), start), (slice(here, count), 0)):
            held = slice(goal, goal + source.stop - source.start)
            self.steps[held] = packed[source]
            for name, store in self.masks.items():
                store[held] = getattr(rollout, name)[source]
            for name, store in self.origin.items():
                store[held] = rollout.origin[name][source]
        self.position.fill_((start + count) % self.capacity)
        self.filled.add_(count).clamp_(max=self.capacity)

    def _room(self, like: Tensor) -> Tensor:
        dtype = torch.float32 if like.is_floating_point() else like.dtype
        return like.new_zeros((self.capacity, *like.shape[1:]), dtype=dtype)

    # ------------------------------------------------------------ drawing

    @property
    def sequences(self) -> int:
        """How many sequences of each member can be drawn.

        A sequence begins at a multiple of its length in the ring: where every episode is as long, and rollouts
        hold whole episodes, it is one episode. The block that is half overwritten cannot be drawn.
        """
        return self._whole_blocks() * self.environments

    def _whole_blocks(self) -> int:
        filled = int(self.filled)
        torn = filled == self.capacity and int(self.position) % self.length > 0
        return filled // self.length - torn

    def draw(self, count: int, generators: Sequence[torch.Generator]) -> Tensor:
        """Where `count` sequences of each member begin, [P, count]; member p draws from generators[p], evenly."""
        drawn = torch.stack([torch.randint(self.sequences, (count,), generator=g) for g in generators])
        block = drawn // self.environments
        if self._whole_blocks() < self.blocks and int(self.filled) == self.capacity:
            block += block >= int(self.position) // self.length
        member = torch.arange(self.members).unsqueeze(1)
        return (block * self.length * self.members + member) * self.environments + drawn % self.environments

    def gather(self, begins: Tensor) -> Sequences:
        """The sequences that begin in rows [P, U]."""
        rows = begins.unsqueeze(-1)
        if self.length > 1:
            rows = rows + torch.arange(self.length) * (self.members * self.environments)
        flat = rows.flatten()

        def taken(store: Tensor) -> Tensor:
            return store.flatten(0, 2).index_select(0, flat).unflatten(0, rows.shape)

        masks = [taken(self.masks[name]) if name in self.masks else None for name in MASKS]
        return Sequences(*_unpack(taken(self.steps), self.agents), *masks)

    # ------------------------------------------------------------ another signal

    @torch.no_grad()
    def relabel(self, relabel: Relabel) -> None:
        """Put all that is held under another signal, which may see more or fewer columns.

        `relabel` gets one rollout, oldest step first, whose reward is the team's for every agent. Rollouts
        follow each other without a gap, so that whatever lies before a step within its episode is there too,
        except for the oldest steps.
        """
        filled, position = int(self.filled), int(self.position)
        if filled == 0:
            return
        # A ring that is not full begins at 0; a full one at the place that is written next.
        oldest = position if filled == self.capacity else 0
        order = (torch.arange(filled) + oldest) % self.capacity
        observation, after, action, reward, terminated, done = _unpack(self.steps[order], self.agents)
        held = Rollout(
            observation,
            after,
            action,
            _of_agents(reward, self.agents),
            terminated,
            done,
            origin={name: store[order] for name, store in self.origin.items()},
            **{name: store[order] for name, store in self.masks.items()},
        )
        packed = _pack(relabel(held))
        self.steps = packed.new_zeros((*self.steps.shape[:3], packed.shape[-1]))
        self.steps[order] = packed

    # ------------------------------------------------------------ state

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        yield "position", self.position
        yield "filled", self.filled
        yield "steps", self.steps
        yield from self.masks.items()
        yield from ((f"origin.{name}", store) for name, store in self.origin.items())

    def make_room(self, saved: Mapping[str, Tensor]) -> None:
        """Room for the masks and origins that `saved` (named as by `tensors`) has, before it is copied in."""
        for name, value in saved.items():
            if name in MASKS:
                self.masks.setdefault(name, self._room(value))
            elif name.startswith("origin."):
                self.origin.setdefault(name.removeprefix("origin."), self._room(value))


def _width(agents: int, observation: int) -> int:
    return 2 * agents * observation + agents + 3


def _of_agents(reward: Tensor, agents: int) -> Tensor:
    return reward.unsqueeze(-1).expand(*reward.shape, agents)


def team_reward(rollout: Rollout) -> Tensor:
    """The mean over the agents that took part, [T, P, E]; zero where none did."""
    if rollout.active is None:
        return rollout.reward.mean(-1)
    return (rollout.reward * rollout.active).sum(-1) / rollout.active.sum(-1).clamp(min=1)


def _pack(rollout: Rollout) -> Tensor:
    """[T, P, E, K]: observation, after, action, team reward, terminated, done."""
    whole = (rollout.observation.flatten(3), rollout.after.flatten(3), rollout.action.float())
    single = (team_reward(rollout), rollout.terminated.float(), rollout.done.float())
    return torch.cat((*whole, torch.stack(single, -1)), -1)


def _unpack(packed: Tensor, agents: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Observation, after, action, team reward, terminated and done of [..., K]."""
    joint = (packed.shape[-1] - agents - 3) // 2
    observation, after, action, rest = packed.split((joint, joint, agents, 3), -1)
    reward, terminated, done = rest.unbind(-1)
    shape = (agents, joint // agents)
    return observation.unflatten(-1, shape), after.unflatten(-1, shape), action.long(), reward, terminated > 0, done > 0
