"""Behaviour of two episodes small enough to be measured by hand."""

from __future__ import annotations

import pytest
import torch

from marlsmith.marl.behaviour import behaviour
from marlsmith.marl.tasks.base import Episodes
from marlsmith.schemas import Entity, Metric, StateField, TaskCard


def field(name: str) -> StateField:
    return StateField(name=name, shape="[B, 3, 2]", unit="length", meaning=name)


def card(velocity: str | None = "speed") -> TaskCard:
    return TaskCard(
        name="toy/line",
        description="Three agents and three flags on a line.",
        agents=3,
        actions=("a", "b", "c", "d"),
        observation_size=1,
        horizon=3,
        fields=(field("place"), field("speed"), field("flag")),
        observation=(),
        entities=(
            Entity(name="agent", count=3, position="place", velocity=velocity, radius=0.25),
            Entity(name="flag", count=3, position="flag", radius=0.25),
        ),
        target="flag",
        reach=1.0,
        collide=0.5,
        metrics=(Metric(name="nothing", unit="none", meaning="nothing"),),
        score="nothing",
        sparsity="none",
    )


FLAGS = (0.0, 10.0, 30.0)
PLACES = (
    # The first agent leaves its flag, the second goes to another one, the third nearly gets to its own.
    ((0.5, 2.0, 24.0), (1.5, 1.75, 24.0), (3.0, 9.5, 28.5)),
    # All three crowd at the first flag, the nearest exactly at its edge: that is not yet within reach.
    ((1.0, 1.25, 4.0), (1.0, 1.25, 4.0), (1.0, 1.25, 4.0)),
)
SPEEDS = (
    ((5.0, 2.0, 0.0), (0.0, 0.04, 0.0), (1.0, 0.5, 3.0)),
    ((0.06, 0.0, 7.0), (0.06, 0.0, 7.0), (0.06, 0.0, 7.0)),
)


def vectors(rows: object, direction: tuple[float, float]) -> torch.Tensor:
    """Episodes x steps x agents -> [T, 1, E, 3, 2]."""
    return (torch.tensor(rows).unsqueeze(-1) * torch.tensor(direction)).transpose(0, 1).unsqueeze(1)


def episodes() -> Episodes:
    flag = torch.tensor(FLAGS).unsqueeze(-1) * torch.tensor([0.0, 1.0])
    # Where they start is no behaviour: every agent stands still on its flag.
    place = torch.cat((flag.expand(1, 1, 2, 3, 2), vectors(PLACES, (0.0, 1.0))))
    speed = torch.cat((torch.zeros(1, 1, 2, 3, 2), vectors(SPEEDS, (-0.8, 0.6))))
    return Episodes(
        state={"place": place, "speed": speed, "flag": flag.expand(4, 1, 2, 3, 2)},
        reward=torch.zeros(3, 1, 2, 3),
        action=torch.tensor([[0, 2, 0], [2, 0, 2]]).expand(3, 1, 2, 3),
        alive=torch.ones(3, 1, 2, dtype=torch.bool),
    )


EXPECTED = {
    # Agents end 3, 0.5, 1.5 and 1, 1.25, 4 from their nearest flag.
    "distance_nearest_end": (3 + 0.5 + 1.5 + 1 + 1.25 + 4) / 6,
    # Flags end 3, 0.5, 1.5 and 1, 6, 26 from their nearest agent.
    "distance_target_end": (3 + 0.5 + 1.5 + 1 + 6 + 26) / 6,
    # Two share a flag in the first two steps of the first episode, and in all of the second.
    "overlap": (2 + 3) / 6,
    # The third flag of the first episode (1.5), the first of the second (1): 2 of 6.
    "near_miss": 2 / 6,
    # The first flag of the first episode.
    "left_after_reaching": 1 / 6,
    # Two of three agents, in the second step of the first episode and in every step of the second.
    "crowded": (2 / 3) * (1 + 3) / 6,
    # Four times in the first episode, three times in the second, of 3 x 3 each.
    "idle": (4 + 3) / 18,
    # Near are 5 + 6 of 18: 5, 0; 0.04, 0.5; 3 and three times 0.06 and 0.
    "speed_near_target": (5 + 0 + 0.04 + 0.5 + 3 + 3 * 0.06) / 11,
    # Two of four actions, equally often: log 2 / log 4.
    "action_entropy": 0.5,
}


def test_behaviour_measured_by_hand() -> None:
    assert behaviour(episodes(), card()) == pytest.approx(EXPECTED, rel=1e-5)


def test_behaviour_without_velocities_leaves_out_what_needs_them() -> None:
    found = behaviour(episodes(), card(velocity=None))
    assert found == pytest.approx(
        {name: value for name, value in EXPECTED.items() if name not in {"idle", "speed_near_target"}}, rel=1e-5
    )


def test_agents_that_keep_apart_share_nothing() -> None:
    """Each stands on its own flag: nothing shared, nothing crowded, nothing missed, nothing left."""
    made = episodes()
    still = Episodes(
        {**made.state, "place": made.state["flag"]}, made.reward, torch.zeros_like(made.action), made.alive
    )
    found = behaviour(still, card())
    for name in ("overlap", "crowded", "near_miss", "left_after_reaching", "distance_target_end", "action_entropy"):
        assert found[name] == pytest.approx(0.0, abs=1e-6), name
