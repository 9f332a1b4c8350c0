"""Playing whole episodes without learning. Scores come from here and never see the shaped reward."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from marlsmith.marl.observing import Observer
from marlsmith.marl.seeding import generator
from marlsmith.marl.tasks.base import Episodes, State, Task
from marlsmith.schemas import ContinuousActions, TaskCard


class Policy(Protocol):
    """What plays: an algorithm, or chance."""

    def fresh_memory(self, environments: int) -> Tensor | None: ...

    def act_greedily(
        self, observation: Tensor, available: Tensor | None, memory: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Actions and the memory after them, for (enhanced) observations [P, E, N, D]."""
        ...


@torch.no_grad()
def play(task: Task, policy: Policy, observer: Observer, draws: Sequence[torch.Generator], episodes: int) -> Episodes:
    """One episode in each of `episodes` environments; each member's start states come from its own generator."""
    environments = task.open(draws, episodes)
    try:
        observation = observer.restart(environments.observation)
        memory = policy.fresh_memory(episodes)
        alive = torch.ones(len(draws), episodes, dtype=torch.bool)
        states, rewards, actions, alives = [environments.state], [], [], []
        for _ in range(task.card.horizon):
            action, memory = policy.act_greedily(observation, environments.available, memory)
            action = bounded(action)
            outcome = environments.step(action)
            states.append(environments.state)
            rewards.append(outcome.reward * alive.unsqueeze(-1))
            actions.append(action)
            alives.append(alive)
            alive = alive & ~outcome.terminated & ~outcome.truncated
            if not bool(alive.any()):
                break
            observation = observer.observe(environments.observation)
    finally:
        environments.close()
    observer.require_sound()
    return Episodes(stack_states(states), torch.stack(rewards), torch.stack(actions), torch.stack(alives))


def bounded(action: Tensor) -> Tensor:
    """What a task is given: a policy's draws may lie outside -1..1."""
    return action.clamp(-1, 1) if action.is_floating_point() else action


def stack_states(states: Sequence[State]) -> State:
    return {name: torch.stack([state[name] for state in states]) for name in states[0]}


class RandomPolicy:
    """Every available action alike, or every number in -1..1."""

    def __init__(self, card: TaskCard, draws: torch.Generator) -> None:
        self.card = card
        self.draws = draws

    def fresh_memory(self, environments: int) -> None:
        return None

    def act_greedily(self, observation: Tensor, available: Tensor | None, memory: Tensor | None) -> tuple[Tensor, None]:
        shape = (*observation.shape[:-1], self.card.actions.size)
        drawn = torch.rand(shape, generator=self.draws)
        if isinstance(self.card.actions, ContinuousActions):
            return drawn * 2 - 1, None
        if available is not None:
            drawn = drawn.masked_fill(~available, -1.0)
        return drawn.argmax(-1), None


def rollout_random(task: Task, seed: int, episodes: int) -> Episodes:
    """Episodes of a random policy, one member."""
    policy = RandomPolicy(task.card, generator(seed, "random policy"))
    return play(task, policy, Observer(None), [generator(seed, "evaluation")], episodes)
