"""Playing whole episodes without learning. Scores come from here and never see the shaped reward."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from marlsmith.marl.observing import Observer
from marlsmith.marl.seeding import generator
from marlsmith.marl.tasks.base import Episodes, State, Task

Policy = Callable[[Tensor], Tensor]
"""Actions int64 [P, E, N] for (enhanced) observations [P, E, N, D]."""


@torch.no_grad()
def play(task: Task, policy: Policy, observer: Observer, draws: Sequence[torch.Generator], episodes: int) -> Episodes:
    """One episode in each of `episodes` environments; each member's start states come from its own generator."""
    state = task.reset(draws, episodes)
    observation = observer.restart(task.observe(state))
    alive = torch.ones(len(draws), episodes, dtype=torch.bool)
    states, rewards, actions, alives = [state], [], [], []
    for _ in range(task.card.horizon):
        action = policy(observation)
        state, reward, terminated = task.step(state, action)
        states.append(state)
        rewards.append(reward * alive.unsqueeze(-1))
        actions.append(action)
        alives.append(alive)
        alive = alive & ~terminated
        if not bool(alive.any()):
            break
        observation = observer.observe(task.observe(state))
    return Episodes(stack_states(states), torch.stack(rewards), torch.stack(actions), torch.stack(alives))


def stack_states(states: list[State]) -> State:
    return {name: torch.stack([state[name] for state in states]) for name in states[0]}


def rollout_random(task: Task, seed: int, episodes: int) -> Episodes:
    """Episodes of a uniformly random policy, one member."""
    draws = generator(seed, "random policy")

    def policy(observation: Tensor) -> Tensor:
        return torch.randint(0, len(task.card.actions), observation.shape[:-1], generator=draws)

    return play(task, policy, Observer(None), [generator(seed, "evaluation")], episodes)
