"""Does a task keep what its card says? Run by `marlsmith tasks NAME`, and by a test for every task."""

from __future__ import annotations

import torch

from marlsmith.marl.evaluation import rollout_random
from marlsmith.marl.seeding import generator
from marlsmith.marl.tasks.base import Task
from marlsmith.schemas import UserError

MEMBERS, ENVIRONMENTS = 2, 3


def verify(task: Task) -> None:
    """Raises UserError with the first thing in which the program and its card differ."""
    card = task.card
    lead = (MEMBERS, ENVIRONMENTS)
    state = task.reset([generator(seed, "verify") for seed in range(MEMBERS)], ENVIRONMENTS)
    action = torch.zeros(*lead, card.agents, dtype=torch.int64)
    following, reward, terminated = task.step(state, action)
    for name, now in (("reset", state), ("step", following)):
        _agree(name, "state fields", sorted(now), sorted(field.name for field in card.fields))
        for field, value in now.items():
            _agree(f"{name}'s {field}", "leading axes [P, E]", tuple(value.shape[:2]), lead)
        _agree(
            f"observe after {name}",
            "shape",
            tuple(task.observe(now).shape),
            (*lead, card.agents, card.observation_size),
        )
    _agree("step's reward", "shape", tuple(reward.shape), (*lead, card.agents))
    _agree("step's terminated", "shape", tuple(terminated.shape), lead)
    for entity in card.entities:
        _agree(f"entity {entity.name}", "bodies", state[entity.position].shape[2], entity.count)
    for name, value in (metrics := task.metrics(rollout_random(task, 0, ENVIRONMENTS))).items():
        _agree(f"metric {name}", "shape", tuple(value.shape), (1, ENVIRONMENTS))
    _agree("metrics", "names", sorted(metrics), sorted(metric.name for metric in card.metrics))


def _agree(what: str, property: str, found: object, said: object) -> None:
    if found != said:
        raise UserError(f"The task does not keep its card: {what} has {property} {found}, the card says {said}.")
