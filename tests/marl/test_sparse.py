"""The sparse tasks: the dense world, with reward for the team's success alone."""

from __future__ import annotations

import pytest
import torch

from marlsmith.marl.evaluation import rollout_random
from marlsmith.marl.tasks import make_task
from marlsmith.marl.tasks.base import Episodes, State

LANDMARKS = ((0.0, 0.0), (0.5, 0.0), (-0.9, -0.9))
AWAY = (0.9, 0.9)
NAMES = ("mpe/simple_spread", "mpe/simple_reference", "mpe/simple_speaker_listener")


def at_rest(agents: tuple[tuple[float, float], ...], goal: tuple[int, ...] = (), landmarks=LANDMARKS) -> State:
    """One environment: the agents do not move in the first step, whatever they do."""
    position = torch.tensor(agents, dtype=torch.float64).view(1, 1, -1, 2)
    state = {
        "agent_pos": position,
        "agent_vel": torch.zeros_like(position),
        "landmark_pos": torch.tensor(landmarks, dtype=torch.float64).view(1, 1, -1, 2),
    }
    if goal:
        state["goal"] = torch.tensor(goal).view(1, 1, -1)
        state["message"] = torch.zeros(1, 1, len(agents), 3, dtype=torch.float64)
    return state


@pytest.mark.parametrize(
    ("name", "state", "success"),
    [
        ("mpe/simple_spread", at_rest(((0.5, 0.09), (-0.9, -0.9), (0.0, 0.0))), True),
        ("mpe/simple_spread", at_rest(((0.5, 0.11), (-0.9, -0.9), (0.0, 0.0))), False),
        ("mpe/simple_spread", at_rest(((0.0, 0.0), (0.5, 0.0), AWAY)), False),
        # One agent may cover two landmarks.
        ("mpe/simple_spread", at_rest(((0.05, 0.0), AWAY, (0.5, 0.5)), (), ((0, 0), (0.1, 0), (0.5, 0.5))), True),
        ("mpe/simple_reference", at_rest(((0.5, 0.0), (0.0, 0.0)), (1, 0)), True),
        ("mpe/simple_reference", at_rest(((0.5, 0.0), (0.5, 0.09)), (1, 1)), True),
        ("mpe/simple_reference", at_rest(((0.5, 0.0), (0.0, 0.0)), (0, 1)), False),
        ("mpe/simple_reference", at_rest(((0.5, 0.0), AWAY), (1, 0)), False),
        ("mpe/simple_speaker_listener", at_rest((AWAY, (0.5, 0.0)), (1, 1)), True),
        ("mpe/simple_speaker_listener", at_rest(((0.5, 0.0), AWAY), (1, 1)), False),
        ("mpe/simple_speaker_listener", at_rest(((0.5, 0.0), (0.0, 0.0)), (1, 1)), False),
    ],
)
def test_reward_is_one_for_all_where_the_team_succeeds(name: str, state: State, success: bool) -> None:
    task = make_task(f"{name}_sparse")
    n = task.card.agents
    _, reward, terminated = task.step(state, torch.zeros(1, 1, n, dtype=torch.int64))
    assert reward.tolist() == [[[float(success)] * n]]
    assert reward.dtype == torch.float32
    assert not terminated.any()


@pytest.mark.parametrize("name", NAMES)
def test_the_world_is_that_of_the_dense_task(name: str) -> None:
    """Equal states, observations, masks and dense metrics; the reward, and what follows from it, is another."""
    dense, sparse = make_task(name), make_task(f"{name}_sparse")
    a, b = rollout_random(dense, 3, 200), rollout_random(sparse, 3, 200)
    assert all(torch.equal(value, b.state[field]) for field, value in a.state.items())
    assert torch.equal(a.action, b.action)
    assert torch.equal(dense.observe(a.state), sparse.observe(b.state))
    now = {field: value[-1] for field, value in a.state.items()}
    masks = dense.available(now), sparse.available(now)
    assert (masks[0] is None and masks[1] is None) or torch.equal(*masks)
    for metric, value in dense.metrics(a).items():
        same = torch.equal(value, sparse.metrics(b)[metric])
        assert same == (metric != "native_return"), metric
    changed = {"name", "description", "metrics", "score", "sparsity"}
    assert dense.card.model_dump(exclude=changed) == sparse.card.model_dump(exclude=changed)
    assert sparse.card.score == "success"
    assert "native reward" in sparse.card.description
    assert "distance" not in sparse.card.description


@pytest.mark.parametrize("name", ["mpe/simple_spread_sparse", "mpe/simple_reference_sparse"])
def test_a_random_policy_almost_never_succeeds(name: str) -> None:
    """Measured in 100,000 episodes: 0.00007 and 0.0006."""
    task = make_task(name)
    assert float(task.metrics(rollout_random(task, 0, 4000))["success"].mean()) < 0.003


def test_return_counts_the_steps_of_success() -> None:
    task = make_task("mpe/simple_speaker_listener_sparse")
    episodes = rollout_random(task, 5, 500)
    metrics = task.metrics(episodes)
    assert torch.equal(metrics["success"], metrics["coverage"])
    assert torch.equal(metrics["native_return"] > 0, metrics["success"] > 0)
    assert 0.02 < float(metrics["success"].mean()) < 0.08


@pytest.mark.parametrize(
    ("alive", "success", "final_success"),
    [([True, True, True], 1.0, 0.0), ([True, True, False], 1.0, 1.0), ([True, False, False], 0.0, 0.0)],
)
def test_success_needs_the_whole_team_at_once_within_the_episode(
    alive: list[bool], success: float, final_success: float
) -> None:
    """Agent 0 arrives and waits, agent 1 arrives one step later, then agent 0 leaves."""
    at, off = [0.0, 0.0], [0.9, 0.9]
    agents = torch.tensor([[at, at], [at, off], [at, at], [off, at]]).view(4, 1, 1, 2, 2)
    running = torch.tensor(alive).view(3, 1, 1)
    state = {
        "agent_pos": agents,
        "landmark_pos": torch.tensor(LANDMARKS).expand(4, 1, 1, 3, 2),
        "goal": torch.zeros(4, 1, 1, 2, dtype=torch.int64),
    }
    episodes = Episodes(state, torch.zeros(3, 1, 1, 2), torch.zeros(3, 1, 1, 2, dtype=torch.int64), running)
    metrics = make_task("mpe/simple_reference_sparse").metrics(episodes)
    assert (float(metrics["success"]), float(metrics["final_success"])) == (success, final_success)
