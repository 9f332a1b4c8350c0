"""simple_spread equals mpe2's simple_spread_v3: draws, observations, rewards, free-running and from injected states."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mpe2 import simple_spread_v3

from marlsmith.marl.tasks import make_task
from marlsmith.marl.tasks.base import Episodes, State
from marlsmith.marl.tasks.simple_spread import SimpleSpread
from marlsmith.schemas import UserError


def reference(n: int, seed: int):
    """mpe2's world itself, so that float64 observations can be read before their cast to float32."""
    env = simple_spread_v3.parallel_env(N=n, max_cycles=25)
    env.reset(seed=seed)
    return env, env.unwrapped


def full_observations(raw) -> np.ndarray:
    return np.stack([raw.scenario.observation(agent, raw.world) for agent in raw.world.agents])


@pytest.mark.parametrize("n", [1, 3, 5])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 5e-4)])
def test_free_running_equals_mpe2(n: int, dtype: torch.dtype, tolerance: float) -> None:
    rng = np.random.default_rng(0)
    task = SimpleSpread(agents=n, dtype=dtype)
    seeds = list(range(40))
    state = task.reference_reset(seeds)
    environments = [reference(n, seed) for seed in seeds]
    for step in range(25):
        seen = task.observe(state)[0].numpy()
        expected = np.stack([full_observations(raw) for _, raw in environments])
        np.testing.assert_allclose(
            seen, expected, rtol=0, atol=0 if step == 0 and dtype == torch.float64 else tolerance
        )
        # Mostly pushes towards the middle, so that there are many collisions.
        inward = np.where(expected[..., 2] > 0, 1, 2)
        actions = np.where(rng.random(inward.shape) < 0.5, inward, rng.integers(0, 5, inward.shape))
        state, reward, terminated = task.step(state, torch.from_numpy(actions)[None])
        assert not terminated.any()
        for i, (env, raw) in enumerate(environments):
            _, rewards, _, truncations, _ = env.step(dict(zip(raw.possible_agents, actions[i].tolist(), strict=True)))
            np.testing.assert_allclose(
                reward[0, i].numpy(), [rewards[name] for name in raw.possible_agents], rtol=0, atol=tolerance
            )
            assert all(truncations.values()) == (step == 24)


@pytest.mark.parametrize("n", [2, 3, 10])
def test_a_step_from_crowded_states_equals_mpe2(n: int) -> None:
    """Agents in a box of half a diameter to three diameters: nearly all pairs overlap, touch or are about to."""
    rng = np.random.default_rng(n)
    count = 60
    box = rng.uniform(0.15, 0.9, (count, 1, 1))
    agents, landmarks = rng.uniform(-0.5, 0.5, (count, n, 2)) * box, rng.uniform(-1, 1, (count, n, 2))
    velocity, actions = rng.normal(0, 1, (count, n, 2)), rng.integers(0, 5, (count, n))
    task = SimpleSpread(agents=n, dtype=torch.float64)
    state = {"agent_pos": agents, "agent_vel": velocity, "landmark_pos": landmarks}
    state, reward, _ = task.step(
        {name: torch.from_numpy(value)[None] for name, value in state.items()}, torch.from_numpy(actions)[None]
    )
    seen = task.observe(state)[0].numpy()
    env, raw = reference(n, 0)
    touched = 0
    for i in range(count):
        env.reset(seed=0)
        for j in range(n):
            raw.world.agents[j].state.p_pos, raw.world.agents[j].state.p_vel = agents[i, j].copy(), velocity[i, j]
            raw.world.landmarks[j].state.p_pos = landmarks[i, j]
        _, rewards, *_ = env.step(dict(zip(raw.possible_agents, actions[i].tolist(), strict=True)))
        np.testing.assert_allclose(seen[i], full_observations(raw), rtol=0, atol=1e-12)
        np.testing.assert_allclose(reward[0, i].numpy(), list(rewards.values()), rtol=0, atol=1e-12)
        touched += sum(raw.scenario.is_collision(a, b) for a in raw.world.agents for b in raw.world.agents if a != b)
    assert touched > count * n * (n - 1) / 4


@pytest.mark.parametrize("n", [3, 5])
def test_reset_reproduces_the_draws_of_mpe2(n: int) -> None:
    task = SimpleSpread(agents=n, dtype=torch.float64)
    seen = task.observe(task.reference_reset(range(200)))[0].numpy()
    expected = np.stack([full_observations(reference(n, seed)[1]) for seed in range(200)])
    np.testing.assert_array_equal(seen, expected)


def some_state(n: int, shape: tuple[int, ...], seed: int) -> State:
    draws = torch.Generator().manual_seed(seed)
    names = ("agent_pos", "agent_vel", "landmark_pos")
    return {name: torch.randn(*shape, n, 2, generator=draws, dtype=torch.float64) for name in names}


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 7), st.lists(st.integers(1, 3), min_size=2, max_size=3), st.integers(0, 2**32))
def test_observations_are_the_differences_that_the_card_tells(n: int, shape: list[int], seed: int) -> None:
    """Exactly: the matrix product must not round anything but the differences themselves."""
    state = some_state(n, tuple(shape), seed)
    seen = SimpleSpread(agents=n, dtype=torch.float64).observe(state)
    for i in range(n):
        own = state["agent_pos"][..., i : i + 1, :]
        others = torch.cat((state["agent_pos"][..., :i, :], state["agent_pos"][..., i + 1 :, :]), -2)
        parts = (state["agent_vel"][..., i : i + 1, :], own, state["landmark_pos"] - own, others - own, others * 0)
        assert torch.equal(seen[..., i, :], torch.cat(parts, -2).flatten(-2))


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(4)), st.integers(0, 2**32))
def test_agents_are_alike(order: list[int], seed: int) -> None:
    """Who is called agent 0 changes nothing."""
    task = SimpleSpread(agents=4, dtype=torch.float64)
    state = some_state(4, (1, 3), seed)
    state["agent_pos"] *= 0.2
    action = torch.randint(0, 5, (1, 3, 4), generator=torch.Generator().manual_seed(seed))
    after, reward, _ = task.step(state, action)
    renamed = {**state, "agent_pos": state["agent_pos"][..., order, :], "agent_vel": state["agent_vel"][..., order, :]}
    renamed_after, renamed_reward, _ = task.step(renamed, action[..., order])
    torch.testing.assert_close(renamed_reward, reward[..., order], rtol=0, atol=1e-12)
    for name in ("agent_pos", "agent_vel"):
        torch.testing.assert_close(renamed_after[name], after[name][..., order, :], rtol=0, atol=1e-12)


def test_metrics_follow_their_definitions() -> None:
    """Three landmarks: one covered now and at the end, one passed by, one never reached."""
    metrics = told_metrics(alive=[True, True])
    assert metrics == pytest.approx(
        {"coverage": 2 / 3, "final_coverage": 1 / 3, "collisions": 1.0, "native_return": 3.0}
    )


def test_metrics_do_not_count_what_comes_after_the_end() -> None:
    """The episode ends with its first step: the state after the second is nobody's."""
    metrics = told_metrics(alive=[True, False])
    assert metrics == pytest.approx(
        {"coverage": 2 / 3, "final_coverage": 2 / 3, "collisions": 0.0, "native_return": 2.0}
    )


def told_metrics(alive: list[bool]) -> dict[str, float]:
    landmarks = torch.tensor([[0.0, 0.0], [0.5, 0.0], [-0.9, -0.9]]).expand(3, 1, 1, 3, 2)
    agents = torch.tensor(
        [
            [[0.3, 0.3], [0.9, 0.9], [0.9, -0.9]],
            [[0.0, 0.05], [0.5, 0.09], [0.9, -0.9]],
            [[0.0, 0.05], [0.2, 0.0], [0.9, -0.9]],
        ]
    ).view(3, 1, 1, 3, 2)
    running = torch.tensor(alive).view(2, 1, 1)
    reward = torch.tensor([[1.0, 2.0, 3.0], [1.0, 1.0, 1.0]]).view(2, 1, 1, 3) * running.unsqueeze(-1)
    action = torch.zeros(2, 1, 1, 3, dtype=torch.int64)
    episodes = Episodes({"agent_pos": agents, "landmark_pos": landmarks}, reward, action, running)
    return {name: float(value) for name, value in SimpleSpread().metrics(episodes).items()}


def test_a_member_draws_from_its_own_generator_alone() -> None:
    task = SimpleSpread()
    generators = [torch.Generator().manual_seed(seed) for seed in (7, 8)]
    together = task.reset(generators, 4)
    alone = task.reset([torch.Generator().manual_seed(8)], 4)
    torch.testing.assert_close(together["agent_pos"][1:], alone["agent_pos"], rtol=0, atol=0)


def test_random_policy_scores_what_was_measured() -> None:
    """Facts of the field: a random policy covers 13 to 15% and earns about -27 per agent and episode."""
    from marlsmith.marl.evaluation import rollout_random

    metrics = SimpleSpread().metrics(rollout_random(SimpleSpread(), seed=1, episodes=2000))
    assert 0.12 < float(metrics["coverage"].mean()) < 0.16
    assert -28.5 < float(metrics["native_return"].mean()) < -25.5


@pytest.mark.parametrize("name", ["mpe/simple_spread", "mpe/simple_spread_sparse"])
def test_the_number_of_agents_is_a_parameter_within_bounds(name: str) -> None:
    task = make_task(f"{name}?agents=7")
    assert (task.card.name, task.card.agents, task.card.entity("landmark").count) == (f"{name}?agents=7", 7, 7)
    for agents in (0, 21):
        with pytest.raises(UserError, match=f"from 1 to 20 agents, not {agents}"):
            make_task(f"{name}?agents={agents}")
