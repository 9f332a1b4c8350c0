"""Does a task keep what its card says? Run by `marlsmith tasks NAME`, and by a test for every task."""

from __future__ import annotations

import torch
from torch import Tensor

from marlsmith.marl.evaluation import rollout_random
from marlsmith.marl.seeding import generator
from marlsmith.marl.tasks.base import Environments, Outcome, Task
from marlsmith.schemas import DiscreteActions, TaskCard, UserError

MEMBERS, ENVIRONMENTS = 2, 3
LEAD = (MEMBERS, ENVIRONMENTS)


def verify(task: Task) -> None:
    """Raises UserError with the first thing in which the program and its card differ."""
    verify_steps(task)
    card = task.card
    for name, value in (metrics := task.metrics(rollout_random(task, 0, ENVIRONMENTS))).items():
        _agree(f"metric {name}", "shape", tuple(value.shape), (1, ENVIRONMENTS))
    _agree("metrics", "names", sorted(metrics), sorted(metric.name for metric in card.metrics))


def verify_steps(task: Task) -> None:
    """What `verify` asks of a start, a step and a restart: quick, for no episode is played to its end."""
    card = task.card
    environments = task.open([generator(seed, "verify") for seed in range(MEMBERS)], ENVIRONMENTS)
    try:
        _shown("the first episode", card, environments)
        _outcome(card, environments.step(_action(card, environments.available)))
        _shown("the first step", card, environments)
        environments.restart(torch.eye(*LEAD, dtype=torch.bool))
        _shown("a restart of some environments", card, environments)
        _agree("clock after that restart", "steps", environments.clock.tolist(), [[0, 1, 1], [1, 0, 1]])
    finally:
        environments.close()


def _shown(when: str, card: TaskCard, environments: Environments) -> None:
    """What the environments show after `when`, against the card."""
    state, team = environments.state, (*LEAD, card.agents)
    _agree(f"state after {when}", "fields", sorted(state), sorted(field.name for field in card.fields))
    for field, value in state.items():
        _agree(f"{field} after {when}", "leading axes [P, E]", tuple(value.shape[:2]), LEAD)
    seen = environments.observation
    _agree(f"observation after {when}", "shape", tuple(seen.shape), (*team, card.observation_size))
    _agree(f"observation after {when}", "type", seen.dtype, torch.float32)
    _may(when, card, environments.available)
    if environments.active is not None:
        _agree(f"active after {when}", "shape", tuple(environments.active.shape), team)
        _agree(f"active after {when}", "type", environments.active.dtype, torch.bool)
    for entity in card.entities:
        for name in filter(None, (entity.position, entity.velocity, entity.present)):
            _agree(f"{name} after {when}", f"bodies of {entity.name!r}", tuple(state[name].shape[2:3]), (entity.count,))
    if card.goal is not None and card.target is not None:
        goal, count = state[card.goal], card.entity(card.target).count
        _agree(f"{card.goal} after {when}", "shape", tuple(goal.shape), team)
        _agree(f"{card.goal} after {when}", "type", goal.dtype, torch.int64)
        _agree(
            f"{card.goal} after {when}", f"all in -1..{count - 1}", bool(((goal >= -1) & (goal < count)).all()), True
        )


def _may(when: str, card: TaskCard, available: Tensor | None) -> None:
    """Each agent may always do something, and never what its list of actions does not have."""
    if not isinstance(card.actions, DiscreteActions):
        _agree(f"available after {when}", "value", available, None)
        return
    own = torch.tensor([len(meanings) for meanings in card.actions.meanings])
    listed = torch.arange(card.actions.size) < own.unsqueeze(-1)
    if available is None:
        _agree(f"available after {when}", "value None, so as many actions for every agent", own.unique().numel(), 1)
        return
    _agree(f"available after {when}", "shape", tuple(available.shape), (*LEAD, *listed.shape))
    _agree(f"available after {when}", "type", available.dtype, torch.bool)
    _agree(f"available after {when}", "an action for every agent", bool(available.any(-1).all()), True)
    _agree(f"available after {when}", "actions that are not listed", bool((available & ~listed).any()), False)


def _action(card: TaskCard, available: Tensor | None) -> Tensor:
    """The first available action of every agent, or all components at zero."""
    if not isinstance(card.actions, DiscreteActions):
        return torch.zeros(*LEAD, card.agents, card.actions.size)
    if available is None:
        return torch.zeros(*LEAD, card.agents, dtype=torch.int64)
    return available.int().argmax(-1)


def _outcome(card: TaskCard, outcome: Outcome) -> None:
    _agree("step's reward", "shape", tuple(outcome.reward.shape), (*LEAD, card.agents))
    _agree("step's reward", "type", outcome.reward.dtype, torch.float32)
    for name, ends in (("terminated", outcome.terminated), ("truncated", outcome.truncated)):
        _agree(f"step's {name}", "shape", tuple(ends.shape), LEAD)
        _agree(f"step's {name}", "type", ends.dtype, torch.bool)
    both = outcome.terminated & outcome.truncated
    _agree("an episode's end", "both terminated and truncated", bool(both.any()), False)


def _agree(what: str, property: str, found: object, said: object) -> None:
    if found != said:
        raise UserError(f"The task does not keep its card: {what} has {property} {found}, it must be {said}.")
