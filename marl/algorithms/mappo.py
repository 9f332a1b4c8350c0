"""MAPPO (Yu et al. 2022): a shared actor with agent id, a value network over the joint observation.

The value network has one output per agent: the hybrid reward differs between agents (LERO, Eq. 1), and one
pass over the joint observation serves them all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from marlsmith.marl.algorithms.base import Rollout, Spaces
from marlsmith.marl.config import TrainConfig
from marlsmith.marl.losses import categorical_entropy, clipped_surrogate, clipped_value_loss, standardised
from marlsmith.marl.networks import stacked_mlp
from marlsmith.marl.normaliser import ValueNormaliser
from marlsmith.marl.optimiser import StackedAdam
from marlsmith.marl.returns import generalised_advantages


class MAPPO:
    def __init__(self, spaces: Spaces, config: TrainConfig, generators: Sequence[torch.Generator]) -> None:
        self.spaces = spaces
        self.config = config
        self.rollout_steps = config.rollout
        self.generators = list(generators)
        hidden = (config.hidden, config.hidden)
        self.actor = stacked_mlp((spaces.observation + spaces.agents, *hidden, spaces.actions), 0.01, generators)
        self.value = stacked_mlp((spaces.observation * spaces.agents, *hidden, spaces.agents), 1.0, generators)
        self.normaliser = ValueNormaliser.fresh(len(generators), config.value_decay)
        self.optimiser = StackedAdam(
            [list(self.actor.parameters()), list(self.value.parameters())],
            config.adam_epsilon,
            config.max_gradient_norm,
        )

    # ------------------------------------------------------------ acting

    def _with_id(self, observation: Tensor) -> Tensor:
        """[P, ..., N, D] -> rows [P, R, D + N], the agent's number one-hot behind its observation."""
        n = self.spaces.agents
        identity = torch.eye(n).expand(*observation.shape[:-1], n)
        return torch.cat((observation, identity), -1).flatten(1, -2)

    @torch.no_grad()
    def act(self, observation: Tensor, noise: Tensor) -> Tensor:
        # Gumbel's trick: argmax(logits + g) is a draw from the softmax.
        gumbel = -torch.log(-torch.log(noise.clamp(1e-10, 1 - 1e-7)))
        logits = self.actor(self._with_id(observation)).view(noise.shape)
        return (logits + gumbel).argmax(-1)

    @torch.no_grad()
    def act_greedily(self, observation: Tensor) -> Tensor:
        return self.actor(self._with_id(observation)).argmax(-1).view(observation.shape[:-1])

    # ------------------------------------------------------------ learning

    def _values(self, observation: Tensor) -> Tensor:
        """Normalised values [T, P, E, N] for observations [T, P, E, N, D]."""
        t, p, e, n, _ = observation.shape
        joint = observation.transpose(0, 1).flatten(3).flatten(1, 2)
        return self.value(joint).view(p, t, e, n).transpose(0, 1)

    @torch.no_grad()
    def _targets(self, rollout: Rollout) -> tuple[Tensor, Tensor, Tensor]:
        """Advantages, normalised returns and normalised old values, each [T, P, E, N]."""
        config = self.config
        old = self._values(rollout.observation)
        values = self.normaliser.denormalise(old.transpose(0, 1)).transpose(0, 1)
        # Within an episode V(s_{t+1}) is the next row's value; only ends and the last row need their own.
        if bool(rollout.done[:-1].any()):
            following = self._values(rollout.after)
            next_values = self.normaliser.denormalise(following.transpose(0, 1)).transpose(0, 1)
        else:
            last = self.normaliser.denormalise(self._values(rollout.after[-1:]).transpose(0, 1)).transpose(0, 1)
            next_values = torch.cat((values[1:], last))
        terminated = rollout.terminated.unsqueeze(-1).expand_as(values)
        done = rollout.done.unsqueeze(-1).expand_as(values)
        advantages = generalised_advantages(
            rollout.reward, values, next_values, terminated, done, config.gamma, config.gae_lambda
        )
        returns = (advantages + values).transpose(0, 1)
        self.normaliser.update(returns.flatten(1))
        return advantages, self.normaliser.normalise(returns).transpose(0, 1), old

    def update(self, rollout: Rollout, progress: float) -> None:
        config = self.config
        learning_rate = config.learning_rate * (1 - progress if config.anneal else 1.0)
        advantages, returns, old_values = self._targets(rollout)
        t, p, e, n = advantages.shape

        def rows(x: Tensor) -> Tensor:
            """[T, P, E, ...] -> [P, T * E, ...]."""
            return x.transpose(0, 1).flatten(1, 2)

        observation = rows(rollout.observation)
        joint = observation.flatten(2)
        inputs = self._with_id(observation).view(p, t * e, n, -1)
        action = rows(rollout.action)
        advantage = standardised(rows(advantages).flatten(1)).view(p, t * e, n)
        returns, old_values = rows(returns), rows(old_values)
        with torch.no_grad():
            old_log_prob = self._log_probs(inputs).gather(-1, action.unsqueeze(-1)).squeeze(-1)
        for _ in range(config.epochs):
            for batch in self._batches(t * e):
                self._step(
                    learning_rate,
                    *(
                        x if batch is None else x[torch.arange(p).unsqueeze(1), batch]
                        for x in (inputs, joint, action, advantage, old_log_prob, returns, old_values)
                    ),
                )

    def _batches(self, count: int) -> list[Tensor | None]:
        """Row numbers [P, R] of each minibatch, shuffled by each member's own generator; None means all."""
        if self.config.minibatches == 1:
            return [None]
        order = torch.stack([torch.randperm(count, generator=generator) for generator in self.generators])
        return list(order.chunk(self.config.minibatches, 1))

    def _log_probs(self, inputs: Tensor) -> Tensor:
        """[P, R, N, D + N] -> [P, R, N, A]."""
        p, r, n, _ = inputs.shape
        return torch.log_softmax(self.actor(inputs.flatten(1, 2)), -1).view(p, r, n, -1)

    def _step(
        self,
        learning_rate: float,
        inputs: Tensor,
        joint: Tensor,
        action: Tensor,
        advantage: Tensor,
        old_log_prob: Tensor,
        returns: Tensor,
        old_values: Tensor,
    ) -> None:
        config = self.config
        log_probs = self._log_probs(inputs)
        log_prob = log_probs.gather(-1, action.unsqueeze(-1)).squeeze(-1)
        policy_loss = clipped_surrogate(log_prob.flatten(1), old_log_prob.flatten(1), advantage.flatten(1), config.clip)
        entropy = categorical_entropy(log_probs).flatten(1).mean(-1)
        value_loss = clipped_value_loss(
            self.value(joint).flatten(1),
            old_values.flatten(1),
            returns.flatten(1),
            config.value_clip,
            config.huber,
        )
        # Summed over members: no parameter is shared between them, so each gets its own gradient.
        loss = (policy_loss - config.entropy * entropy + value_loss).sum()
        self.optimiser.step(loss, learning_rate)

    # ------------------------------------------------------------ state

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        yield from self.actor.named("actor")
        yield from self.value.named("value")
        yield from self.optimiser.tensors()
        for name in ("mean", "square", "weight"):
            yield f"normaliser.{name}", getattr(self.normaliser, name)
