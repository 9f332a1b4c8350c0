"""simple_spread equals mpe2's simple_spread_v3: draws, observations, rewards, free-running."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mpe2 import simple_spread_v3

from marlsmith.marl.tasks.base import Episodes
from marlsmith.marl.tasks.simple_spread import SimpleSpread


def reference(n: int, seed: int):
    """mpe2's world itself, so that float64 observations can be read before their cast to float32."""
    env = simple_spread_v3.parallel_env(N=n, max_cycles=25)
    env.reset(seed=seed)
    return env, env.unwrapped


def full_observations(raw) -> np.ndarray:
    return np.stack([raw.scenario.observation(agent, raw.world) for agent in raw.world.agents])


@pytest.mark.parametrize("n", [3, 5])
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


@pytest.mark.parametrize("n", [3, 5])
def test_reset_reproduces_the_draws_of_mpe2(n: int) -> None:
    task = SimpleSpread(agents=n, dtype=torch.float64)
    seen = task.observe(task.reference_reset(range(200)))[0].numpy()
    expected = np.stack([full_observations(reference(n, seed)[1]) for seed in range(200)])
    np.testing.assert_array_equal(seen, expected)


def test_metrics_follow_their_definitions() -> None:
    """Three landmarks: one covered now and at the end, one passed by, one never reached."""
    task = SimpleSpread()
    landmarks = torch.tensor([[0.0, 0.0], [0.5, 0.0], [-0.9, -0.9]]).expand(3, 1, 1, 3, 2)
    agents = torch.tensor(
        [
            [[0.3, 0.3], [0.9, 0.9], [0.9, -0.9]],
            [[0.0, 0.05], [0.5, 0.09], [0.9, -0.9]],
            [[0.0, 0.05], [0.2, 0.0], [0.9, -0.9]],
        ]
    ).view(3, 1, 1, 3, 2)
    reward = torch.tensor([[1.0, 2.0, 3.0], [1.0, 1.0, 1.0]]).view(2, 1, 1, 3)
    episodes = Episodes(
        {"agent_pos": agents, "landmark_pos": landmarks},
        reward,
        torch.zeros(2, 1, 1, 3, dtype=torch.int64),
        torch.ones(2, 1, 1, dtype=torch.bool),
    )
    metrics = {name: float(value) for name, value in task.metrics(episodes).items()}
    assert metrics == pytest.approx(
        {"coverage": 2 / 3, "final_coverage": 1 / 3, "collisions": 1.0, "native_return": 3.0}
    )


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
