"""Signals that serve `mpe/simple_spread_sparse`, and others that harm, drawn from the vocabulary."""

from __future__ import annotations

import random
from collections.abc import Iterator

from marlsmith.schemas import (
    AnyTerm,
    Approach,
    Collision,
    Crowding,
    ObservationConfig,
    Progress,
    Reach,
    RewardConfig,
    SlowNearTarget,
    TargetDistance,
    TargetOffset,
    TeamDistance,
    TeamSuccess,
    UniqueCoverage,
)

OBSERVATION = ObservationConfig(features=(TargetOffset(assignment="optimal"), TargetDistance(assignment="optimal")))
SERVES = RewardConfig(
    terms=(
        Approach(assignment="optimal"),
        Reach(assignment="optimal", threshold=0.1),
        TeamSuccess(threshold=0.1, weight=2.0),
    )
)


def harmful_rewards(seed: int) -> Iterator[RewardConfig]:
    """Endless: each way to harm in turn, with other kinds, weights and parameters every time."""
    rng = random.Random(seed)
    while True:
        for way in (turned, standing_still, clashing, drowned, spoiled):
            yield RewardConfig(alpha=rng.choice([0.3, 0.5, 0.7]), terms=way(rng))


def turned(rng: random.Random) -> tuple[AnyTerm, ...]:
    """One to three terms that serve the task, with their signs turned."""
    rule = rng.choice(["optimal", "nearest"])
    terms: list[AnyTerm] = [
        Approach(assignment=rule, form=rng.choice(["linear", "squared", "exponential"]), weight=-weight(rng, 1)),
        Progress(assignment=rule, weight=-weight(rng, 5)),
        Reach(assignment=rule, threshold=rng.choice([0.1, 0.2, 0.3]), weight=-weight(rng, 2)),
        UniqueCoverage(threshold=0.1, credit="team", weight=-weight(rng, 2)),
        TeamDistance(weight=-weight(rng, 1)),
    ]
    return tuple(rng.sample(terms, rng.randint(1, 3)))


def standing_still(rng: random.Random, about: float = 3.0) -> tuple[AnyTerm, ...]:
    """Speed is charged for everywhere."""
    return (SlowNearTarget(threshold=10.0, weight=weight(rng, about)),)


def clashing(rng: random.Random, about: float = 3.0) -> tuple[AnyTerm, ...]:
    """Collisions and crowds are paid for."""
    terms: list[AnyTerm] = [
        Collision(distance=0.3, weight=-weight(rng, about)),
        Crowding(radius=rng.choice([0.5, 1.0, 2.0]), weight=-weight(rng, about)),
    ]
    return tuple(rng.sample(terms, rng.randint(1, 2)))


def drowned(rng: random.Random) -> tuple[AnyTerm, ...]:
    """What serves the task is there, and drowns in large weights on what has nothing to do with it."""
    return (
        Approach(assignment="optimal", weight=0.1),
        Collision(distance=rng.uniform(0.3, 2.0), weight=rng.choice([-100.0, 100.0])),
        Crowding(radius=rng.uniform(0.3, 2.0), weight=rng.choice([-100.0, 100.0])),
        SlowNearTarget(threshold=10.0, weight=rng.choice([-100.0, 100.0])),
    )


def spoiled(rng: random.Random) -> tuple[AnyTerm, ...]:
    """The very reward that serves, with a little of one of these harms: what a saboteur calls an improvement."""
    return (*SERVES.terms, *rng.choice([standing_still, clashing])(rng, 0.5))


def weight(rng: random.Random, about: float) -> float:
    return round(about * 4 ** rng.uniform(-1, 1), 3)
