"""What VDN and QMIX share: agents' Q networks, replay, double Q with a target network, epsilon-greedy play."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Self

import torch
from torch import Tensor

from marlsmith.marl.algorithms.base import Relabel, Rollout, Spaces
from marlsmith.marl.algorithms.carry import carried
from marlsmith.marl.algorithms.replay import Replay, Sequences
from marlsmith.marl.config import TrainConfig
from marlsmith.marl.losses import squared_error
from marlsmith.marl.mixing import Mixer, named
from marlsmith.marl.networks import AgentNetwork
from marlsmith.marl.optimiser import StackedAdam
from marlsmith.schemas import UserError


class ValueLearning:
    """Q-learning on the team's value Q_tot, a mixture of the agents' own.

    Q_tot learns the mean of the rewards of the agents that took part: the hybrid reward (LERO, Eq. 1) differs
    between agents, and one value can only stand for one reward.
    """

    policy = "agent."

    def __init__(
        self, spaces: Spaces, config: TrainConfig, generators: Sequence[torch.Generator], mixer: Mixer
    ) -> None:
        self.require_sense(spaces, config)
        self.spaces = spaces
        self.config = config
        self.rollout_steps = config.rollout
        self.noise = spaces.actions + 1
        self.generators = list(generators)
        # Values begin near zero: the maximum over actions would make a bias of larger ones.
        self.agent = AgentNetwork(spaces.agents, spaces.observation, spaces.actions, 0.1, config, generators)
        self.mixer = mixer
        parameters = [*self.agent.parameters(), *mixer.parameters.values()]
        self.optimiser = StackedAdam([parameters], config.adam_epsilon, config.max_gradient_norm)
        self.target_agent, self.target_mixer = copy.deepcopy((self.agent, mixer))
        self.target_values = self.optimiser.values.clone()
        """The target networks' parameters, in one row as Adam has the online ones."""
        _move([*self.target_agent.parameters(), *self.target_mixer.parameters.values()], self.target_values)
        self.replay = Replay(
            config.replay // config.environments,
            len(self.generators),
            config.environments,
            spaces.agents,
            spaces.observation,
            config.sequence,
        )

    @staticmethod
    def require_sense(spaces: Spaces, config: TrainConfig) -> None:
        _require_sense(spaces, config)

    # ------------------------------------------------------------ acting

    def fresh_memory(self, environments: int) -> Tensor | None:
        return self.agent.fresh_memory(environments)

    @torch.no_grad()
    def act(
        self, observation: Tensor, available: Tensor | None, memory: Tensor | None, noise: Tensor, progress: float
    ) -> tuple[Tensor, Tensor | None]:
        best, memory = self.act_greedily(observation, available, memory)
        lots, coin = noise[..., :-1], noise[..., -1]
        if available is not None:
            lots = lots.masked_fill(~available, -1.0)
        return torch.where(coin < self.epsilon(progress), lots.argmax(-1), best), memory

    def epsilon(self, progress: float) -> float:
        """The share of random actions when a share `progress` of the training is done: it falls linearly."""
        config = self.config
        left = max(0.0, 1 - progress / config.epsilon_share)
        return config.epsilon_end + (config.epsilon_start - config.epsilon_end) * left

    @torch.no_grad()
    def act_greedily(
        self, observation: Tensor, available: Tensor | None, memory: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        prepared = self.agent.prepare(observation).unsqueeze(2)
        values, after = self.agent(prepared, memory)
        values = values.squeeze(3)  # [P, A, E, N]
        if available is not None:
            values = values.masked_fill(~available.permute(0, 3, 1, 2), -torch.inf)
        return _best(values).squeeze(1), None if after is None else after.squeeze(2)

    # ------------------------------------------------------------ learning

    def update(self, rollout: Rollout, progress: float) -> None:
        config = self.config
        self.replay.add(rollout)
        if self.replay.sequences < config.batch:
            return
        learning_rate = config.learning_rate * (1 - progress if config.anneal else 1.0)
        for begins in self.replay.draw(config.updates * config.batch, self.generators).split(config.batch, 1):
            self.optimiser.step(self.loss(self.replay.gather(begins)).sum(), learning_rate)
            self.target_values.lerp_(self.optimiser.values, config.target_rate)

    def loss(self, batch: Sequences) -> Tensor:
        """The mean squared error of Q_tot, [P], over the steps in which any agent took part."""
        prepared = self.agent.prepare(batch.observation)
        apart = _apart(batch.done)
        # Where sequences are whole episodes, nothing begins inside them.
        inside = self.agent.recurrent and apart != [batch.done.shape[-1] - 1]
        restart = _beginnings(batch.done) if inside else None
        values, memory = self.agent(prepared, None, restart)
        target = self._targets(batch, prepared, restart, values.detach(), memory, apart)
        chosen = values.gather(1, batch.action.unsqueeze(1)).squeeze(1)
        if batch.active is not None:
            chosen = chosen * batch.active
        total = _mixed(self.mixer, chosen, batch.observation)
        took_part = None if batch.active is None else batch.active.any(-1).flatten(1).float()
        return squared_error(total.flatten(1), target.flatten(1), took_part)

    @torch.no_grad()
    def _targets(
        self,
        batch: Sequences,
        prepared: Tensor,
        restart: Tensor | None,
        values: Tensor,
        memory: Tensor | None,
        apart: list[int],
    ) -> Tensor:
        """y = r + gamma * (1 - terminated) * Q_tot'(after, best action of each agent), [P, U, L].

        `values` and `memory` are what the online network makes of the observations. A time limit is no end: the
        value of what it led to counts, also where a new episode begins behind it.
        """
        following = self.agent.prepare(batch.after)
        if self.agent.recurrent:
            target_values, target_memory = self.target_agent(prepared, None, restart)
            target_values = _led_to(self.target_agent, target_values, following, target_memory, apart)
        else:
            target_values, _ = self.target_agent(following)
        judged = _led_to(self.agent, values, following, memory, apart) if self.config.double else target_values
        if batch.available_after is not None:
            judged = judged.masked_fill(~batch.available_after.permute(0, 4, 1, 2, 3), -torch.inf)
        best = target_values.gather(1, _best(judged)).squeeze(1)
        if batch.active_after is not None:
            best = best * batch.active_after
        total = _mixed(self.target_mixer, best, batch.after)
        return batch.reward + self.config.gamma * total * ~batch.terminated

    # ------------------------------------------------------------ a new signal

    def relabel(self, relabel: Relabel) -> None:
        self.replay.relabel(relabel)

    def resized(self, observation: int, kept: int) -> Self:
        """The same algorithm for another observation: see `carry.carried`. `relabel` must follow."""
        new = carried(self, observation, kept)
        if int(self.replay.filled) > 0:
            new.replay = self.replay
        return new

    def forget_values(self, rollouts: int) -> None:
        """Nothing needs it: replayed steps are paid by the new signal at once, and no scale is estimated."""

    # ------------------------------------------------------------ state

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        yield from self.agent.named("agent")
        yield from named(self.mixer, "mixer")
        yield from self.target_agent.named("target.agent")
        yield from named(self.target_mixer, "target.mixer")
        yield from self.optimiser.tensors()
        yield from ((f"replay.{name}", tensor) for name, tensor in self.replay.tensors())

    def make_room(self, saved: Mapping[str, Tensor]) -> None:
        """Have tensors for all that `saved` (named as by `tensors`) remembers, before it is copied into them."""
        prefix = "replay."
        self.replay.make_room({k.removeprefix(prefix): v for k, v in saved.items() if k.startswith(prefix)})


def _require_sense(spaces: Spaces, config: TrainConfig) -> None:
    """Raises UserError where nothing could be learned."""
    if spaces.continuous:
        raise UserError(
            f"{config.algorithm} needs discrete actions, and this task's are continuous: use mappo or ippo."
        )
    if config.network == "gru" and config.sequence == 1:
        raise UserError(
            "A recurrent network learns to remember nothing from sequences of 1 step: "
            "set sequence higher, for instance to the task's horizon."
        )
    blocks = config.replay // config.environments // config.sequence
    held = blocks * config.sequence
    # While rollouts cut a sequence in two, that one cannot be drawn.
    whole = blocks - (config.rollout % config.sequence > 0)
    if held < config.rollout or whole * config.environments < config.batch:
        raise UserError(
            f"A replay of {config.replay} steps gives each of {config.environments} environments {held}, too few for "
            f"rollouts of {config.rollout} and batches of {config.batch} sequences of {config.sequence}: raise replay."
        )
    first = -(-config.batch // config.environments) * config.sequence * config.environments
    if first > config.steps:
        raise UserError(
            f"{config.algorithm} learns nothing in {config.steps} steps: its first batch of {config.batch} sequences "
            f"of {config.sequence} is full after {first}; raise steps, or lower batch."
        )


def _move(parameters: Sequence[Tensor], row: Tensor) -> None:
    """Let parameters [P, ...] be views of a row [P, K], without gradients."""
    stop = 0
    for parameter in parameters:
        start, stop = stop, stop + parameter[0].numel()
        parameter.requires_grad_(False)
        parameter.data = row[:, start:stop].view(parameter.shape)


def _beginnings(done: Tensor) -> Tensor:
    """Where an episode begins within sequences, bool [P, U, L]: after each end."""
    return torch.cat((torch.zeros_like(done[..., :1]), done[..., :-1]), -1)


def _apart(done: Tensor) -> list[int]:
    """The steps of sequences [P, U, L] that do not just lead to the next one everywhere: ends, and the last."""
    length = done.shape[-1]
    if length == 1:
        return [0]
    ends = torch.nonzero(done.flatten(0, 1).any(0)).flatten().tolist()
    return sorted({*ends, length - 1})


def _led_to(
    network: AgentNetwork, values: Tensor, following: Tensor, memory: Tensor | None, apart: list[int]
) -> Tensor:
    """Values [P, A, U, L, N] of what each step led to, given those of the observations.

    Within an episode a step leads to the next observation. Only the steps `apart` need a pass of their own:
    one step on, for a recurrent network, from its memory after the step.
    """
    u, length = following.shape[1:3]
    everywhere = len(apart) == length
    onward = following if everywhere else following[:, :, apart]
    if memory is None:
        found, _ = network(onward)
    else:
        before = memory if everywhere else memory[:, :, apart]
        found, _ = network(onward.flatten(1, 2).unsqueeze(2), before.flatten(1, 2))
        found = found.squeeze(3).unflatten(2, (u, len(apart)))
    if everywhere:
        return found
    shifted = values.roll(-1, 3)
    shifted[:, :, :, apart] = found
    return shifted


def _best(values: Tensor) -> Tensor:
    """The best action's index, [P, 1, ...] for [P, A, ...]; max finds it twenty times faster than argmax there."""
    return values.max(1, keepdim=True).indices


def _mixed(mixer: Mixer, values: Tensor, observation: Tensor) -> Tensor:
    """Q_tot [P, U, L] for values [P, U, L, N] and observations [P, U, L, N, D]."""
    u, length = values.shape[1:3]
    return mixer(values.flatten(1, 2), observation.flatten(3).flatten(1, 2)).unflatten(1, (u, length))
