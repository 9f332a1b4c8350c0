"""simple_reference equals mpe2's simple_reference_v3: draws, observations, rewards, free-running, injected states."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mpe2 import simple_reference_v3
from mpe_parity import assert_free_running

from marlsmith.marl.tasks.base import Episodes
from marlsmith.marl.tasks.simple_reference import SimpleReference


def reference(seed: int):
    env = simple_reference_v3.parallel_env(max_cycles=25)
    env.reset(seed=seed)
    return env, env.unwrapped


def full_observations(raw) -> np.ndarray:
    """In float64, before the cast of the reference."""
    return np.stack([raw.scenario.observation(agent, raw.world) for agent in raw.world.agents])


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
def test_free_running_equals_mpe2(dtype: torch.dtype, tolerance: float) -> None:
    rng = np.random.default_rng(0)
    task = SimpleReference(dtype=dtype)
    environments = [reference(seed) for seed in range(40)]
    assert_free_running(
        task,
        task.reference_reset(range(40)),
        environments,
        lambda count: rng.integers(0, 50, (count, 2)),
        full_observations,
        tolerance,
        tolerance if dtype == torch.float32 else 0,
    )


def test_reset_reproduces_the_draws_of_mpe2() -> None:
    task = SimpleReference(dtype=torch.float64)
    state = task.reference_reset(range(200))
    expected = [reference(seed)[1] for seed in range(200)]
    np.testing.assert_array_equal(
        task.observe(state)[0].numpy(), np.stack([full_observations(raw) for raw in expected])
    )
    own = [[raw.world.landmarks.index(a.goal_b) for a in reversed(raw.world.agents)] for raw in expected]
    assert state["goal"][0].tolist() == own


def test_a_step_from_any_state_equals_mpe2() -> None:
    """Far places and high speeds, agents on each other, the same goal twice: nothing collides here."""
    rng = np.random.default_rng(1)
    count = 100
    agents, velocity = rng.normal(0, 2, (count, 2, 2)), rng.normal(0, 3, (count, 2, 2))
    agents[:10, 1] = agents[:10, 0]
    landmarks, goal = rng.uniform(-1, 1, (count, 3, 2)), rng.integers(0, 3, (count, 2))
    message, actions = np.eye(10)[rng.integers(0, 10, (count, 2))], rng.integers(0, 50, (count, 2))
    task = SimpleReference(dtype=torch.float64)
    fields = {
        "agent_pos": agents,
        "agent_vel": velocity,
        "landmark_pos": landmarks,
        "message": message,
        "goal": goal,
    }
    given = {name: torch.from_numpy(value)[None] for name, value in fields.items()}
    before = task.observe(given)[0].numpy()
    state, reward, _ = task.step(given, torch.from_numpy(actions)[None])
    seen = task.observe(state)[0].numpy()
    env, raw = reference(0)
    for i in range(count):
        env.reset(seed=0)
        for j, agent in enumerate(raw.world.agents):
            agent.state.p_pos, agent.state.p_vel, agent.state.c = agents[i, j].copy(), velocity[i, j], message[i, j]
            agent.goal_b = raw.world.landmarks[goal[i, 1 - j]]
        for j, landmark in enumerate(raw.world.landmarks):
            landmark.state.p_pos = landmarks[i, j]
        np.testing.assert_allclose(before[i], full_observations(raw), rtol=0, atol=1e-12)
        _, rewards, *_ = env.step(dict(zip(raw.possible_agents, actions[i].tolist(), strict=True)))
        np.testing.assert_allclose(seen[i], full_observations(raw), rtol=0, atol=1e-12)
        np.testing.assert_allclose(reward[0, i].numpy(), list(rewards.values()), rtol=0, atol=1e-12)


def test_actions_do_what_their_meanings_say() -> None:
    task = SimpleReference()
    meanings = task.card.actions.meanings[0]
    state = task.reference_reset(range(50))
    state, _, _ = task.step(state, torch.arange(50).view(1, 50, 1).repeat(1, 1, 2))
    directions = {"stay": (0, 0), "left": (-1, 0), "right": (1, 0), "down": (0, -1), "up": (0, 1)}
    for action, meaning in enumerate(meanings):
        said, _, move = meaning.partition(", ")
        assert state["message"][0, action, 0].argmax() == int(said.split()[-1])
        expected = next(direction for word, direction in directions.items() if word in move.split())
        assert state["agent_vel"][0, action, 0].sign().tolist() == list(expected)


def test_a_word_is_heard_at_once_by_the_other_alone_and_moves_nobody() -> None:
    task = SimpleReference()
    start = task.reference_reset([3])
    columns = next(part for part in task.card.observation if part.kind == "message")
    assert task.observe(start)[..., columns.start : columns.stop].eq(0).all()
    silent, reward, _ = task.step(start, torch.tensor([[[1, 2]]]))
    spoken, same, _ = task.step(start, torch.tensor([[[1 + 5 * 7, 2]]]))
    assert torch.equal(reward, same)
    changed = (task.observe(silent) != task.observe(spoken))[0, 0]
    assert not changed[0].any()
    assert changed[1].nonzero().flatten().tolist() == [columns.start, columns.start + 7]


def told_metrics(alive: list[bool]) -> dict[str, float]:
    """Agent 0 reaches its own landmark first and then agent 1's; agent 1 reaches its own at last."""
    landmarks = torch.tensor([[0.0, 0.0], [0.5, 0.0], [-0.9, -0.9]]).expand(4, 1, 1, 3, 2)
    agents = torch.tensor(
        [
            [[0.5, 0.0], [0.9, 0.9]],  # a start at a target does not count
            [[0.0, 0.09], [0.9, 0.9]],
            [[0.5, 0.09], [0.9, 0.9]],
            [[0.9, 0.9], [0.5, -0.09]],
        ]
    ).view(4, 1, 1, 2, 2)
    running = torch.tensor(alive).view(3, 1, 1)
    reward = torch.tensor([[-1.0, -2.0]] * 3).view(3, 1, 1, 2) * running.unsqueeze(-1)
    state = {"agent_pos": agents, "landmark_pos": landmarks, "goal": torch.tensor([0, 1]).expand(4, 1, 1, 2)}
    episodes = Episodes(state, reward, torch.zeros(3, 1, 1, 2, dtype=torch.int64), running)
    return {name: float(value) for name, value in SimpleReference().metrics(episodes).items()}


@pytest.mark.parametrize(
    ("alive", "coverage", "final_coverage", "landmark_coverage", "native_return"),
    [
        ([True, True, True], 1.0, 0.5, 2 / 3, -4.5),
        ([True, True, False], 0.5, 0.0, 2 / 3, -3.0),
        ([True, False, False], 0.5, 0.5, 1 / 3, -1.5),
    ],
)
def test_metrics_follow_their_definitions(
    alive: list[bool], coverage: float, final_coverage: float, landmark_coverage: float, native_return: float
) -> None:
    assert told_metrics(alive) == pytest.approx(
        {
            "coverage": coverage,
            "final_coverage": final_coverage,
            "landmark_coverage": landmark_coverage,
            "native_return": native_return,
        }
    )


def test_own_draws_are_uniform_and_a_members_own() -> None:
    task = SimpleReference()
    together = task.reset([torch.Generator().manual_seed(seed) for seed in (7, 8)], 3000)
    alone = task.reset([torch.Generator().manual_seed(8)], 3000)
    for name, value in alone.items():
        assert torch.equal(together[name][1:], value)
    shares = torch.bincount((alone["goal"] * torch.tensor([3, 1])).sum(-1).flatten(), minlength=9) / 3000
    assert shares.tolist() == pytest.approx([1 / 9] * 9, abs=0.025)


def test_random_policy_earns_what_was_measured() -> None:
    """Facts of the field: about -28.7 per agent and episode; an agent meets its own target in 5% of the episodes."""
    from marlsmith.marl.evaluation import rollout_random

    metrics = SimpleReference().metrics(rollout_random(SimpleReference(), seed=1, episodes=2000))
    assert -30 < float(metrics["native_return"].mean()) < -27
    assert 0.03 < float(metrics["coverage"].mean()) < 0.07
