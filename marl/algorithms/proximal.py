"""Proximal policy optimisation for teams (Schulman et al. 2017, Yu et al. 2022): what MAPPO and IPPO share.

Rollouts are cut into units: single steps for feed-forward networks, whole sequences of the rollout for recurrent
ones. Layout of everything learned from: P members, U units, L steps, N agents, [P, U, L, N, ...].
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from marlsmith.marl.algorithms.base import Relabel, Rollout, Spaces
from marlsmith.marl.algorithms.carry import carried
from marlsmith.marl.config import TrainConfig
from marlsmith.marl.distributions import Categorical, Distribution, Gaussian
from marlsmith.marl.losses import clipped_surrogate, clipped_value_loss, standardised, weighted_mean
from marlsmith.marl.networks import AgentNetwork
from marlsmith.marl.normaliser import ValueNormaliser
from marlsmith.marl.optimiser import StackedAdam
from marlsmith.marl.returns import generalised_advantages
from marlsmith.schemas import UserError

START_DEVIATION = 0.5
"""Of a continuous policy's actions, which range over -1..1."""

DEVIATIONS = (-5.0, 0.5)
"""Bounds of their logarithm."""

MOST_MINIBATCHES = 4
"""So many may always be asked for, and are made fewer where a rollout has fewer parts."""

ACTOR, VALUE = 0, 1
"""The optimiser's groups."""


@dataclass(frozen=True)
class Batch:
    """What the losses are computed from, each [P, U, ...]."""

    prepared: Tensor
    value_inputs: Tensor | None
    """None: the value network reads what the actor reads."""
    action: Tensor
    rows: Tensor
    """Advantages, old log-probabilities, normalised returns and old values, [P, U, 4, L, N]."""
    available: Tensor | None
    weight: Tensor | None
    starts: Tensor | None
    memory: Tensor | None
    value_memory: Tensor | None

    def each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """The same change made to every tensor."""
        found = {name: None if x is None else change(x) for name, x in vars(self).items()}
        return Batch(**found)  # type: ignore[arg-type]

    def part(self, first: int, last: int) -> Batch:
        """Units [first, last)."""
        return self.each(lambda x: x[:, first:last])


class Proximal(ABC):
    """An actor and a value network; the subclass says what the value network sees."""

    policy = "actor."

    def __init__(self, spaces: Spaces, config: TrainConfig, generators: Sequence[torch.Generator]) -> None:
        self.require_sense(spaces, config)
        self.spaces = spaces
        self.config = config
        self.rollout_steps = config.rollout
        self.noise = spaces.actions
        self.generators = list(generators)
        self.recurrent = config.network == "gru"
        self.actor = AgentNetwork(spaces.agents, spaces.observation, spaces.actions, 0.01, config, generators)
        self.value = self.value_network()
        self.deviation: Tensor | None = None
        if spaces.continuous:
            copies = spaces.agents if self.actor.separate else 1
            start = torch.full((len(generators), copies, spaces.actions), START_DEVIATION).log()
            self.deviation = start.requires_grad_()
        self.normaliser = ValueNormaliser.fresh(len(generators), config.value_decay)
        acting = self.actor.parameters() + ([] if self.deviation is None else [self.deviation])
        self.optimiser = StackedAdam([acting, self.value.parameters()], config.adam_epsilon, config.max_gradient_norm)
        self.value_memory = self.value.fresh_memory(config.environments)
        self.value_only = torch.zeros((), dtype=torch.int64)

    @staticmethod
    def require_sense(spaces: Spaces, config: TrainConfig) -> None:
        """Raises UserError where a rollout cannot be cut into the minibatches asked for."""
        units = config.environments * (1 if config.network == "gru" else config.rollout)
        if config.minibatches > max(units, MOST_MINIBATCHES):
            raise UserError(
                f"minibatches = {config.minibatches}: a rollout of {config.environments} environments has {units} "
                "parts to share out; lower it."
            )

    @abstractmethod
    def value_network(self) -> AgentNetwork:
        """The network behind `values`."""

    @abstractmethod
    def value_inputs(self, observation: Tensor, prepared: Tensor) -> Tensor:
        """What the value network reads, of observations [P, U, L, N, D] and what the actor reads of them."""

    @abstractmethod
    def values_of(self, out: Tensor) -> Tensor:
        """The value network's outputs [P, O, U, L, ...] as one value an agent, [P, U, L, N]."""

    # ------------------------------------------------------------ acting

    def fresh_memory(self, environments: int) -> Tensor | None:
        return self.actor.fresh_memory(environments)

    def _policy(self, out: Tensor, available: Tensor | None) -> Distribution:
        """Of the actor's outputs [P, A, U, L, N]."""
        if self.deviation is None:
            return Categorical.of(out, available)
        # Bounded: the entropy bonus would widen a component that does nothing for ever.
        return Gaussian(out, self.deviation.clamp(*DEVIATIONS).mT[:, :, None, None])

    def _acting(
        self, observation: Tensor, available: Tensor | None, memory: Tensor | None
    ) -> tuple[Distribution, Tensor | None]:
        """Each environment is a sequence of one step: [P, E, N, D] -> [P, E, 1, N, D]."""
        out, after = self.actor(self.actor.prepare(observation.unsqueeze(2)), memory)
        policy = self._policy(out, None if available is None else available.unsqueeze(2))
        return policy, None if after is None else after[:, :, 0]

    @torch.no_grad()
    def act(
        self, observation: Tensor, available: Tensor | None, memory: Tensor | None, noise: Tensor, progress: float
    ) -> tuple[Tensor, Tensor | None]:
        policy, after = self._acting(observation, available, memory)
        return policy.sample(noise.movedim(-1, 1).unsqueeze(3)).squeeze(2), after

    @torch.no_grad()
    def act_greedily(
        self, observation: Tensor, available: Tensor | None, memory: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        policy, after = self._acting(observation, available, memory)
        return policy.mode().squeeze(2), after

    # ------------------------------------------------------------ learning

    def _units(self, x: Tensor) -> Tensor:
        """[T, P, E, ...] -> [P, U, L, ...]."""
        if self.recurrent:
            return x.movedim(0, 2)
        return x.transpose(0, 1).flatten(1, 2).unsqueeze(2)

    def _steps(self, x: Tensor, steps: int) -> Tensor:
        """[P, U, L, ...] -> [T, P, E, ...]."""
        if self.recurrent:
            return x.movedim(2, 0)
        return x.squeeze(2).unflatten(1, (steps, -1)).transpose(0, 1)

    @torch.no_grad()
    def _next_values(self, rollout: Rollout, values: Tensor, memories: Tensor | None) -> Tensor:
        """V(s_{t+1}) of what each step led to, before any restart, [T, P, E, N], in normalised units.

        Within an episode it is the next row's value; only the rows where an episode ended and the last one
        need a pass of their own.
        """
        steps = values.shape[0]
        own = torch.nonzero(rollout.done.flatten(1).any(1)).flatten()
        if own.numel() == 0 or int(own[-1]) != steps - 1:
            own = torch.cat((own, own.new_tensor([steps - 1])))
        after = rollout.after[own]
        k, p, e, n, _ = after.shape
        observation = after.transpose(0, 1).flatten(1, 2).unsqueeze(2)  # [P, K * E, 1, N, D]
        memory = None
        if memories is not None:  # [P, E, T, agents of the value network, H]
            memory = memories[:, :, own].transpose(1, 2).flatten(1, 2)
        out, _ = self.value(self.value_inputs(observation, self.actor.prepare(observation)), memory)
        found = self.values_of(out).view(p, k, e, n).transpose(0, 1)
        following = torch.cat((values[1:], values[-1:]))
        following[own] = found
        return following

    @torch.no_grad()
    def _targets(self, rollout: Rollout, inputs: Tensor, starts: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Advantages, normalised returns and normalised old values, each [P, U, L, N]."""
        config = self.config
        steps = rollout.reward.shape[0]
        out, memories = self.value(inputs, self.value_memory, starts)
        old = self.values_of(out)
        normal = self._steps(old, steps)
        following = self._next_values(rollout, normal, memories)
        if memories is not None:
            self.value_memory = memories[:, :, -1] * ~rollout.done[-1][..., None, None]
        values, next_values = (
            self.normaliser.denormalise(x.transpose(0, 1)).transpose(0, 1) for x in (normal, following)
        )
        terminated = rollout.terminated.unsqueeze(-1).expand_as(values)
        done = rollout.done.unsqueeze(-1).expand_as(values)
        if rollout.active_after is not None:  # who has left for good has no future, though the others go on
            gone = ~rollout.active_after
            terminated, done = terminated | gone, done | gone
        advantages = generalised_advantages(
            rollout.reward, values, next_values, terminated, done, config.gamma, config.gae_lambda
        )
        returns = (advantages + values).transpose(0, 1)
        weight = None if rollout.active is None else rollout.active.transpose(0, 1).flatten(1).float()
        self.normaliser.update(returns.flatten(1), weight)
        return (
            self._units(advantages),
            self._units(self.normaliser.normalise(returns).transpose(0, 1)),
            old,
        )

    def update(self, rollout: Rollout, progress: float) -> None:
        config = self.config
        learning_rate = config.learning_rate * (1 - progress if config.anneal else 1.0)
        batch = self._prepared(rollout)
        for _ in range(config.epochs):
            for part in self._minibatches(batch):
                self._step(part, learning_rate)
        if int(self.value_only) > 0:
            self.value_only -= 1

    @torch.no_grad()
    def _prepared(self, rollout: Rollout) -> Batch:
        """All that the updates of one rollout need, with its targets."""
        observation = self._units(rollout.observation)
        prepared = self.actor.prepare(observation)
        value_inputs = self.value_inputs(observation, prepared)
        starts, value_memory = None, self.value_memory
        if self.recurrent:  # an episode begins in the row after an end; single steps need no memory
            first = torch.zeros_like(rollout.done[:1])
            starts = self._units(torch.cat((first, rollout.done[:-1])))
        advantages, returns, old_values = self._targets(rollout, value_inputs, starts)
        action = self._units(rollout.action)
        available = None if rollout.available is None else self._units(rollout.available)
        weight = None if rollout.active is None else self._units(rollout.active).float()
        advantage = standardised(advantages.flatten(1), None if weight is None else weight.flatten(1))
        out, _ = self.actor(prepared, rollout.memory, starts)
        old_log_prob = self._policy(out, available).log_prob(action)
        rows = torch.stack((advantage.view(returns.shape), old_log_prob, returns, old_values), 2)
        return Batch(
            prepared=prepared, value_inputs=None if value_inputs is prepared else value_inputs, action=action,
            rows=rows, available=available, weight=weight, starts=starts, memory=rollout.memory,
            value_memory=value_memory,
        )  # fmt: skip

    def _minibatches(self, batch: Batch) -> Iterator[Batch]:
        """The units shuffled, each member's by its own generator, and cut into nearly equal parts."""
        if self.config.minibatches == 1:
            yield batch
            return
        count = batch.action.shape[1]
        order = torch.stack([torch.randperm(count, generator=generator) for generator in self.generators])
        flat = (order + torch.arange(len(self.generators)).unsqueeze(1) * count).flatten()
        # Shuffled as a whole, so that the parts are slices: one copy an epoch.
        shuffled = batch.each(lambda x: x.flatten(0, 1).index_select(0, flat).view(x.shape))
        for part in torch.arange(count).tensor_split(self.config.minibatches):
            if len(part):
                yield shuffled.part(int(part[0]), int(part[-1]) + 1)

    def _step(self, batch: Batch, learning_rate: float) -> None:
        config = self.config
        weight = None if batch.weight is None else batch.weight.flatten(1)
        advantage, old_log_prob, returns, old_values = (x.flatten(1) for x in batch.rows.unbind(2))
        inputs = batch.prepared if batch.value_inputs is None else batch.value_inputs
        out, _ = self.value(inputs, batch.value_memory, batch.starts)
        value_loss = clipped_value_loss(
            self.values_of(out).flatten(1), old_values, returns, config.value_clip, config.huber, weight
        )
        out, _ = self.actor(batch.prepared, batch.memory, batch.starts)
        policy = self._policy(out, batch.available)
        log_prob = policy.log_prob(batch.action).flatten(1)
        policy_loss = clipped_surrogate(log_prob, old_log_prob, advantage, config.clip, weight)
        entropy = weighted_mean(policy.entropy().flatten(1), weight)
        # Summed over members: no parameter is shared between them, so each gets its own gradient.
        loss = (policy_loss - config.entropy * entropy + value_loss).sum()
        self.optimiser.step(loss, learning_rate, frozen=ACTOR if int(self.value_only) > 0 else None)

    # ------------------------------------------------------------ a new signal

    def relabel(self, relabel: Relabel) -> None:  # noqa: B027
        """Nothing is remembered of earlier rollouts."""

    def resized(self, observation: int, kept: int) -> Proximal:
        """The same algorithm for another observation: see `carry.carried`."""
        return carried(self, observation, kept)

    def forget_values(self, rollouts: int) -> None:
        """Estimate the scale of the returns anew; for some rollouts only the value network learns."""
        for tensor in (self.normaliser.mean, self.normaliser.square, self.normaliser.weight):
            tensor.zero_()
        self.value_only.fill_(rollouts)

    # ------------------------------------------------------------ state

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        yield from self.actor.named("actor")
        if self.deviation is not None:
            yield "actor.deviation", self.deviation
        yield from self.value.named("value")
        yield from self.optimiser.tensors()
        for name in ("mean", "square", "weight"):
            yield f"normaliser.{name}", getattr(self.normaliser, name)
        if self.value_memory is not None:
            yield "value.memory", self.value_memory
        yield "value.only", self.value_only

    def make_room(self, saved: Mapping[str, Tensor]) -> None:  # noqa: B027
        """Everything has its room from the start."""
