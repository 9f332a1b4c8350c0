"""simple_speaker_listener equals mpe2's simple_speaker_listener_v4, its two kinds of agents included."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mpe2 import simple_speaker_listener_v4
from mpe_parity import assert_free_running

from marlsmith.marl.evaluation import rollout_random
from marlsmith.marl.tasks.base import Episodes
from marlsmith.marl.tasks.simple_speaker_listener import LISTENER, SPEAKER, SimpleSpeakerListener


def reference(seed: int):
    env = simple_speaker_listener_v4.parallel_env(max_cycles=25)
    env.reset(seed=seed)
    return env, env.unwrapped


def full_observations(raw) -> np.ndarray:
    """In float64, before the cast of the reference; zeros behind the speaker's three columns."""
    speaker, listener = (raw.scenario.observation(agent, raw.world) for agent in raw.world.agents)
    return np.stack((np.concatenate((speaker, np.zeros(8))), listener))


def some_actions(rng: np.random.Generator, count: int) -> np.ndarray:
    return np.stack((rng.integers(0, 3, count), rng.integers(0, 5, count)), -1)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
def test_free_running_equals_mpe2(dtype: torch.dtype, tolerance: float) -> None:
    rng = np.random.default_rng(0)
    task = SimpleSpeakerListener(dtype=dtype)
    environments = [reference(seed) for seed in range(40)]
    assert_free_running(
        task,
        task.reference_reset(range(40)),
        environments,
        lambda count: some_actions(rng, count),
        full_observations,
        tolerance,
        tolerance if dtype == torch.float32 else 0,
    )


def test_reset_reproduces_the_draws_of_mpe2() -> None:
    task = SimpleSpeakerListener(dtype=torch.float64)
    state = task.reference_reset(range(200))
    expected = [reference(seed)[1] for seed in range(200)]
    np.testing.assert_array_equal(
        task.observe(state)[0].numpy(), np.stack([full_observations(raw) for raw in expected])
    )
    goals = [[-1, raw.world.landmarks.index(raw.world.agents[SPEAKER].goal_b)] for raw in expected]
    assert state["goal"][0].tolist() == goals
    speakers = np.stack([raw.world.agents[SPEAKER].state.p_pos for raw in expected])
    np.testing.assert_array_equal(state["agent_pos"][0, :, SPEAKER].numpy(), speakers)


def test_a_step_from_any_state_equals_mpe2() -> None:
    """Far places and high speeds, the two on each other: nothing collides here."""
    rng = np.random.default_rng(1)
    count = 100
    agents, velocity = rng.normal(0, 2, (count, 2, 2)), rng.normal(0, 3, (count, 2, 2))
    agents[:10, 1] = agents[:10, 0]
    velocity[:, SPEAKER] = 0
    landmarks, goal = rng.uniform(-1, 1, (count, 3, 2)), np.stack((np.full(count, -1), rng.integers(0, 3, count)), -1)
    message, actions = np.eye(3)[rng.integers(0, 3, (count, 2))], some_actions(rng, count)
    message[:, LISTENER] = 0
    task = SimpleSpeakerListener(dtype=torch.float64)
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
    assert torch.equal(state["agent_pos"][:, :, SPEAKER], given["agent_pos"][:, :, SPEAKER])
    env, raw = reference(0)
    for i in range(count):
        env.reset(seed=0)
        for j, agent in enumerate(raw.world.agents):
            agent.state.p_pos, agent.state.p_vel, agent.state.c = agents[i, j].copy(), velocity[i, j], message[i, j]
        for j, landmark in enumerate(raw.world.landmarks):
            landmark.state.p_pos = landmarks[i, j]
        raw.world.agents[SPEAKER].goal_b = raw.world.landmarks[goal[i, LISTENER]]
        np.testing.assert_allclose(before[i], full_observations(raw), rtol=0, atol=1e-12)
        _, rewards, *_ = env.step(dict(zip(raw.possible_agents, actions[i].tolist(), strict=True)))
        np.testing.assert_allclose(seen[i], full_observations(raw), rtol=0, atol=1e-12)
        np.testing.assert_allclose(reward[0, i].numpy(), list(rewards.values()), rtol=1e-14, atol=1e-12)


def test_the_speaker_has_three_actions_and_the_listener_five() -> None:
    task = SimpleSpeakerListener()
    raw = reference(0)[1]
    sizes = [int(raw.action_space(name).n) for name in raw.possible_agents]
    assert [len(meanings) for meanings in task.card.actions.meanings] == sizes == [3, 5]
    available = task.available(task.reset([torch.Generator().manual_seed(seed) for seed in (0, 1)], 4))
    assert (available.shape, available.dtype) == ((2, 4, 2, 5), torch.bool)
    assert available[:, :, SPEAKER].tolist() == [[[True, True, True, False, False]] * 4] * 2
    assert available[:, :, LISTENER].all()


def test_the_card_says_whose_columns_are_whose() -> None:
    """The columns that the card does not give to an agent are zero for it, at all times."""
    task = SimpleSpeakerListener()
    episodes = rollout_random(task, seed=0, episodes=50)
    assert episodes.action[..., SPEAKER].max() == 2
    assert episodes.action[..., LISTENER].max() == 4
    seen = task.observe(episodes.state)
    for agent in (SPEAKER, LISTENER):
        given = torch.zeros(seen.shape[-1], dtype=torch.bool)
        for part in task.card.observation:
            if agent in part.agents:
                given[part.start : part.stop] = True
        assert seen[..., agent, ~given].eq(0).all()
        assert seen[..., agent, given].flatten(0, -2).abs().amax(0).gt(0).all()


def told_metrics(alive: list[bool]) -> dict[str, float]:
    """The listener passes another landmark, then its own, then leaves it; the speaker stands at it all the time."""
    landmarks = torch.tensor([[0.0, 0.0], [0.5, 0.0], [-0.9, -0.9]]).expand(4, 1, 1, 3, 2)
    listener = torch.tensor([[0.9, 0.9], [0.0, 0.0], [0.5, 0.09], [0.5, 0.2]])
    agents = torch.stack((torch.tensor([0.5, 0.0]).expand(4, 2), listener), 1).view(4, 1, 1, 2, 2)
    running = torch.tensor(alive).view(3, 1, 1)
    reward = torch.full((3, 1, 1, 2), -2.0) * running.unsqueeze(-1)
    state = {"agent_pos": agents, "landmark_pos": landmarks, "goal": torch.tensor([-1, 1]).expand(4, 1, 1, 2)}
    episodes = Episodes(state, reward, torch.zeros(3, 1, 1, 2, dtype=torch.int64), running)
    return {name: float(value) for name, value in SimpleSpeakerListener().metrics(episodes).items()}


@pytest.mark.parametrize(
    ("alive", "coverage", "final_coverage", "native_return"),
    [
        ([True, True, True], 1.0, 0.0, -6.0),
        ([True, True, False], 1.0, 1.0, -4.0),
        ([True, False, False], 0.0, 0.0, -2.0),
    ],
)
def test_metrics_follow_their_definitions(
    alive: list[bool], coverage: float, final_coverage: float, native_return: float
) -> None:
    assert told_metrics(alive) == pytest.approx(
        {"coverage": coverage, "final_coverage": final_coverage, "native_return": native_return}
    )


def test_own_draws_are_uniform_and_a_members_own() -> None:
    task = SimpleSpeakerListener()
    together = task.reset([torch.Generator().manual_seed(seed) for seed in (7, 8)], 3000)
    alone = task.reset([torch.Generator().manual_seed(8)], 3000)
    for name, value in alone.items():
        assert torch.equal(together[name][1:], value)
    assert alone["goal"][..., SPEAKER].eq(-1).all()
    shares = torch.bincount(alone["goal"][..., LISTENER].flatten(), minlength=3) / 3000
    assert shares.tolist() == pytest.approx([1 / 3] * 3, abs=0.04)


def test_random_policy_earns_what_was_measured() -> None:
    """Facts of the field: about -41 per agent and episode, with a wide spread."""
    task = SimpleSpeakerListener()
    metrics = task.metrics(rollout_random(task, seed=1, episodes=2000))
    assert -43 < float(metrics["native_return"].mean()) < -37
    assert 0.03 < float(metrics["coverage"].mean()) < 0.07
