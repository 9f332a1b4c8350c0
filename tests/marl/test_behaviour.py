"""Behaviour of two episodes small enough to be measured by hand."""

from __future__ import annotations

import pytest
import torch

from marlsmith.marl.behaviour import behaviour
from marlsmith.marl.evaluation import rollout_random
from marlsmith.marl.tasks import TASKS, make_task
from marlsmith.marl.tasks.base import Episodes
from marlsmith.schemas import ContinuousActions, DiscreteActions, Entity, Metric, StateField, TaskCard


def field(name: str) -> StateField:
    return StateField(name=name, shape="[B, 3, 2]", unit="length", meaning=name)


def card(velocity: str | None = "speed") -> TaskCard:
    return TaskCard(
        name="toy/line",
        description="Three agents and three flags on a line.",
        agents=3,
        actions=DiscreteActions(meanings=(("a", "b", "c", "d"),) * 3),
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
    # Nobody was ever rewarded, and all three steps were played.
    "rewarded_steps": 0.0,
    "episode_length": 1.0,
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


def with_dead_tail(made: Episodes) -> Episodes:
    """The same episodes, followed by two steps in which nothing counts any more."""

    def longer(x: torch.Tensor, filler: float) -> torch.Tensor:
        return torch.cat((x, torch.full_like(x[:2], filler)))

    return Episodes(
        {name: longer(value, 0.3) for name, value in made.state.items()},
        longer(made.reward, 0.0),
        torch.cat((made.action, torch.ones_like(made.action[:2]))),
        torch.cat((made.alive, torch.zeros_like(made.alive[:2]))),
    )


def test_what_comes_after_the_end_counts_nothing() -> None:
    assert behaviour(with_dead_tail(episodes()), card()) == pytest.approx(EXPECTED, rel=1e-5)


def test_episodes_of_different_length_weigh_by_their_steps() -> None:
    made = episodes()
    alive = made.alive.clone()
    alive[1:, :, 1] = False  # the second episode ends after a step
    found = behaviour(Episodes(made.state, made.reward, made.action, alive), card())
    assert found["episode_length"] == pytest.approx((1 + 1 / 3) / 2)
    assert found["overlap"] == pytest.approx((2 + 1) / 4)
    assert found["crowded"] == pytest.approx((2 / 3) * (1 + 1) / 4)
    assert found["distance_nearest_end"] == pytest.approx(EXPECTED["distance_nearest_end"])


def test_targets_that_are_gone_are_no_targets() -> None:
    """The first flag is gone from the start, and in the second episode all of them after the first step."""
    made = episodes()
    there = torch.ones(4, 1, 2, 3)
    there[..., 0] = 0
    there[2:, :, 1] = 0
    base = card()
    flag = base.entity("flag").model_copy(update={"present": "there"})
    vanishing = base.model_copy(
        update={"fields": (*base.fields, field("there")), "entities": (base.entity("agent"), flag)}
    )
    found = behaviour(Episodes({**made.state, "there": there}, made.reward, made.action, made.alive), vanishing)
    assert found["distance_nearest_end"] == pytest.approx((7 + 0.5 + 1.5) / 6)
    assert found["distance_target_end"] == pytest.approx((0.5 + 1.5) / 6)
    assert found["near_miss"] == pytest.approx(1 / 4)
    assert found["left_after_reaching"] == 0
    assert found["overlap"] == pytest.approx((3 + 1) / 6)


def test_with_goals_only_ones_own_target_counts() -> None:
    made = episodes()
    aiming = card().model_copy(update={"fields": (*card().fields, field("goal")), "goal": "goal"})
    goal = torch.tensor([0, 0, 2]).expand(4, 1, 2, 3)
    found = behaviour(Episodes({**made.state, "goal": goal}, made.reward, made.action, made.alive), aiming)
    assert "overlap" not in found
    assert found["distance_own_end"] == pytest.approx((3 + 9.5 + 1.5 + 1 + 1.25 + 26) / 6)
    assert found["distance_target_end"] == pytest.approx((3 + 1.5 + 1 + 26) / 4)


def test_an_agent_without_a_goal_has_no_distance_to_it() -> None:
    made = episodes()
    aiming = card().model_copy(update={"fields": (*card().fields, field("goal")), "goal": "goal"})
    goal = torch.tensor([-1, 0, 2]).expand(4, 1, 2, 3)
    found = behaviour(Episodes({**made.state, "goal": goal}, made.reward, made.action, made.alive), aiming)
    assert found["distance_own_end"] == pytest.approx((9.5 + 1.5 + 1.25 + 26) / 4)


def speaking(words: torch.Tensor, goals: torch.Tensor) -> dict[str, float]:
    """Two agents and two goals in 8 episodes of one step; agent 0 has no goal, agent 1 is silent."""
    spoken = torch.nn.functional.one_hot(words, 4).float()
    message = torch.stack((spoken, torch.zeros_like(spoken)), -2)[None, None].expand(2, 1, 8, 2, 4)
    goal = torch.stack((torch.full_like(goals, -1), goals), -1)[None, None].expand(2, 1, 8, 2)
    place = torch.zeros(2, 1, 8, 2, 2)
    made = Episodes(
        {"place": place, "flag": torch.ones(2, 1, 8, 2, 2), "goal": goal, "message": message},
        torch.ones(1, 1, 8, 2),
        torch.zeros(1, 1, 8, 2, dtype=torch.int64),
        torch.ones(1, 1, 8, dtype=torch.bool),
    )
    base = card(velocity=None)
    entities = tuple(entity.model_copy(update={"count": 2}) for entity in base.entities)
    fields = (*base.fields, field("goal"), field("message"))
    actions = DiscreteActions(meanings=(("a", "b"), ("a",)))
    talking = base.model_copy(
        update={"agents": 2, "actions": actions, "entities": entities, "fields": fields, "goal": "goal"}
    )
    return behaviour(made, talking)


def test_words_that_tell_the_goal_and_words_that_do_not() -> None:
    goals = torch.tensor([0, 1, 0, 1, 0, 1, 0, 1])
    telling = speaking(goals + 2, goals)
    assert telling["message_entropy"] == pytest.approx(0.5)
    assert telling["message_information"] == pytest.approx(1.0)
    babbling = speaking(torch.tensor([0, 0, 1, 1, 2, 2, 3, 3]), goals)
    assert babbling["message_entropy"] == pytest.approx(1.0)
    assert babbling["message_information"] == pytest.approx(0.0, abs=1e-6)
    assert telling["rewarded_steps"] == 1.0
    assert telling["action_entropy"] == 0.0


def test_a_card_without_entities_gives_what_it_can() -> None:
    made = episodes()
    unknown = card().model_copy(
        update={
            "entities": (),
            "target": None,
            "reach": None,
            "collide": None,
            "actions": ContinuousActions(meanings=(("push", "turn"),) * 3),
        }
    )
    action = torch.zeros(3, 1, 2, 3, 2)
    action[:, :, 1] = 1.0
    found = behaviour(Episodes(made.state, made.reward, action, made.alive), unknown)
    assert found == pytest.approx({"rewarded_steps": 0.0, "episode_length": 1.0, "action_spread": 0.5})


@pytest.mark.parametrize("name", TASKS)
def test_every_task_has_evidence(name: str) -> None:
    task = make_task(name)
    found = behaviour(rollout_random(task, 0, 8), task.card)
    assert {"rewarded_steps", "episode_length", "action_entropy"} < set(found)
    assert found["action_entropy"] > 0.9, "random play is as diverse as can be"
    assert all(value == value and abs(value) < 100 for value in found.values())
