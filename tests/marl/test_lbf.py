"""Level-based foraging equals lbforaging's ForagingEnv: steps, rewards, observations, and how episodes begin."""

from __future__ import annotations

import itertools

import gymnasium
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lbforaging.foraging import environment as foraging
from scipy import stats

from marlsmith.marl.tasks.base import Episodes, State
from marlsmith.marl.tasks.lbf import SETTINGS, LevelBasedForaging, Setting

ALL = pytest.mark.parametrize("name", SETTINGS)
LOAD = 5


def arguments(setting: Setting) -> dict[str, object]:
    return {
        "players": setting.agents,
        "min_player_level": 1,
        "max_player_level": 2,
        "field_size": (setting.size, setting.size),
        "min_food_level": 1,
        "max_food_level": None,
        "max_num_food": setting.foods,
        "sight": setting.sight,
        "max_episode_steps": 50,
        "force_coop": setting.cooperation,
        "grid_observation": False,
        "penalty": 0.0,
    }


def inject(env, state: State, e: int, current_step: int = 0) -> None:
    """Puts environment e of the first member into the reference."""
    env.field = np.zeros(env.field_size, np.int32)
    for (row, column), level in zip(state["food_pos"][0, e].long(), state["food_level"][0, e].long(), strict=True):
        if level > 0:
            assert env.field[row, column] == 0
            env.field[row, column] = level
    for player, position, level in zip(
        env.players, state["agent_pos"][0, e].long().tolist(), state["agent_level"][0, e].long().tolist(), strict=True
    ):
        player.setup(tuple(position), level, env.field_size)
    env._food_spawned = int(state["food_total"][0, e])
    env.current_step = current_step
    env._game_over = False
    env._gen_valid_moves()


def read(envs) -> State:
    """The references' states, with one member; only before any food is eaten."""
    food = np.stack([np.argwhere(env.field) for env in envs])
    food_level = np.stack([env.field[env.field > 0] for env in envs])
    arrays = {
        "agent_pos": np.array([[player.position for player in env.players] for env in envs]),
        "agent_level": np.array([[player.level for player in env.players] for env in envs]),
        "food_pos": food,
        "food_level": food_level,
        "food_total": food_level.sum(-1),
    }
    return {name: torch.from_numpy(value.astype(np.float32))[None] for name, value in arrays.items()}


def agrees(env, state: State, e: int) -> None:
    """Positions and foods are the same."""
    assert [list(player.position) for player in env.players] == state["agent_pos"][0, e].long().tolist()
    field = np.zeros(env.field_size, np.int32)
    place = state["food_pos"][0, e].long().numpy()
    field[place[:, 0], place[:, 1]] = state["food_level"][0, e].numpy()
    np.testing.assert_array_equal(env.field, field)


def scattered(task: LevelBasedForaging, environments: int, seed: int) -> State:
    """States as they can arise: some food eaten, agents anywhere but on food, many next to food or to each other."""
    rng = np.random.default_rng(seed)
    state = task.reset([torch.Generator().manual_seed(seed)], environments)
    left = rng.random(state["food_level"].shape) < 0.7
    left[..., 0] |= ~left.any(-1)
    state["food_level"] = state["food_level"] * torch.from_numpy(left)
    size, n = task.setting.size, task.setting.agents
    for e in range(environments):
        foods = state["food_pos"][0, e].long().numpy()[left[0, e]]
        taken = {tuple(food) for food in foods.tolist()}
        free = [cell for cell in itertools.product(range(size), repeat=2) if cell not in taken]
        home = foods[rng.integers(len(foods))]
        near = [cell for cell in free if abs(np.subtract(cell, home)).sum() <= 2]
        for i in range(n):
            cells = near if rng.random() < 0.7 else free
            state["agent_pos"][0, e, i] = torch.tensor(cells[rng.integers(len(cells))])
    return state


@ALL
def test_parameters_are_those_that_lbforaging_registers(name: str) -> None:
    setting = SETTINGS[name]
    assert setting.id == f"Foraging-{'2s-' if '2s' in name else ''}{name.replace('-2s', '')}-v3"
    # lbforaging 2.0.0 registers no more than four foods: take the id with as many, and change that.
    known = setting.id.replace(f"{setting.foods}f", f"{min(setting.foods, 4)}f")
    assert {**gymnasium.spec(known).kwargs, "max_num_food": setting.foods} == arguments(setting)


@ALL
def test_single_steps_equal_the_reference(name: str) -> None:
    task = LevelBasedForaging(name)
    environments = 800
    before = scattered(task, environments, seed=1)
    rng = np.random.default_rng(2)
    action = rng.integers(0, 6, (1, environments, task.setting.agents))
    action = np.where(rng.random(action.shape) < 0.4, LOAD, action)
    seen_before = task.observe(before)
    after, reward, terminated = task.step(before, torch.from_numpy(action))
    seen_after = task.observe(after)
    assert reward.dtype == seen_after.dtype == torch.float32

    env = foraging.ForagingEnv(**arguments(task.setting))
    for e in range(environments):
        inject(env, before, e)
        np.testing.assert_array_equal(seen_before[0, e].numpy(), np.stack(env._make_gym_obs()))
        observation, rewards, done, *_ = env.step(action[0, e].tolist())
        agrees(env, after, e)
        np.testing.assert_array_equal(reward[0, e].numpy(), np.array(rewards, np.float32))
        np.testing.assert_array_equal(seen_after[0, e].numpy(), np.stack(observation))
        assert bool(terminated[0, e]) == done

    # The states were worth the comparison.
    shares = (reward[0] > 0).sum(-1)
    assert (shares == 1).any() or task.setting.cooperation
    assert (shares >= 2).any()
    assert (shares.bool() & ~terminated[0]).any()
    assert terminated.any()
    stayed = (after["agent_pos"] == before["agent_pos"]).all(-1).numpy()
    assert (stayed & (action > 0) & (action < LOAD)).any()
    assert (~stayed).any()


def seek(state: State, rng: np.random.Generator) -> torch.Tensor:
    """All agents go to the first food left and load, with some random actions: [1, E, N]."""
    there = state["food_level"] > 0
    first = there.float().argmax(-1)
    food = state["food_pos"].gather(-2, first[..., None, None].expand(-1, -1, 1, 2))
    rows, columns = (food - state["agent_pos"]).unbind(-1)
    vertical = torch.where(rows < 0, 1, 2)
    horizontal = torch.where(columns < 0, 3, 4)
    action = torch.where(rows.abs() >= columns.abs(), vertical, horizontal)
    action = torch.where(rows.abs() + columns.abs() == 1, LOAD, action)
    noise = torch.from_numpy(rng.integers(0, 6, action.shape))
    return torch.where(torch.from_numpy(rng.random(action.shape) < 0.2), noise, action)


@ALL
def test_whole_episodes_equal_the_reference(name: str) -> None:
    task = LevelBasedForaging(name)
    rng = np.random.default_rng(3)
    envs = [foraging.ForagingEnv(**arguments(task.setting)) for _ in range(20)]
    shown = np.stack([env.reset(seed=seed)[0] for seed, env in enumerate(envs)])
    ours = task.open([torch.Generator()], len(envs))
    ours.load(
        {"clock": torch.zeros(1, len(envs), dtype=torch.int64)} | {f"state.{k}": v for k, v in read(envs).items()}
    )
    np.testing.assert_array_equal(ours.observation[0].numpy(), shown)
    running = set(range(len(envs)))
    finished = rewarded = 0
    for _ in range(50):
        action = seek(ours.state, rng)
        outcome = ours.step(action)
        for e in sorted(running):
            observation, rewards, done, truncated, _ = envs[e].step(action[0, e].tolist())
            agrees(envs[e], ours.state, e)
            np.testing.assert_array_equal(outcome.reward[0, e].numpy(), np.array(rewards, np.float32))
            np.testing.assert_array_equal(ours.observation[0, e].numpy(), np.stack(observation))
            # The reference calls both ends done and neither truncated.
            assert not truncated
            assert bool(outcome.terminated[0, e]) == (envs[e].field.sum() == 0)
            assert bool(outcome.terminated[0, e] | outcome.truncated[0, e]) == done
            finished += bool(outcome.terminated[0, e])
            rewarded += bool(outcome.reward[0, e].any())
            if done:
                running.remove(e)
    assert not running
    assert rewarded > len(envs)
    assert finished > 0 or task.setting.foods == 5  # such luck as takes more episodes


def placed(task: LevelBasedForaging, agents: list[list[int]], foods: list[list[int]], levels: list[list[int]]) -> State:
    tensors = {"agent_pos": agents, "agent_level": levels[0], "food_pos": foods, "food_level": levels[1]}
    state = {name: torch.tensor(value, dtype=torch.float32)[None, None] for name, value in tensors.items()}
    return {**state, "food_total": state["food_level"].sum(-1)}


@pytest.mark.parametrize(
    ("agents", "actions", "after"),
    [
        ([[0, 0], [0, 2], [6, 6]], [4, 3, 0], [[0, 0], [0, 2], [6, 6]]),  # two want one cell: both stay
        ([[0, 0], [0, 1], [6, 6]], [4, 3, 0], [[0, 1], [0, 0], [6, 6]]),  # they swap
        ([[0, 0], [0, 1], [6, 6]], [4, 0, 0], [[0, 0], [0, 1], [6, 6]]),  # one stands there
        ([[0, 0], [0, 2], [1, 0]], [4, 3, 1], [[0, 0], [0, 2], [0, 0]]),  # into the cell of one whose move failed
        ([[0, 0], [9, 9], [3, 4]], [3, 4, 4], [[0, 0], [9, 9], [3, 4]]),  # borders and food
        ([[5, 5], [5, 5], [5, 4]], [5, 1, 0], [[5, 5], [4, 5], [5, 4]]),  # apart from one cell; a load of nothing
    ],
)
def test_moves_follow_the_rules(agents: list[list[int]], actions: list[int], after: list[list[int]]) -> None:
    task = LevelBasedForaging("10x10-3p-3f")
    state = placed(task, agents, [[3, 5], [7, 2], [8, 8]], [[1, 2, 1], [2, 2, 2]])
    moved, reward, terminated = task.step(state, torch.tensor(actions)[None, None])
    assert moved["agent_pos"][0, 0].tolist() == after
    assert not reward.any()
    assert not terminated.any()


def test_loads_are_shared_by_level() -> None:
    """Levels 1, 2, 2 around a food of 3: two who load it are enough, the third who only stands there gets nothing."""
    task = LevelBasedForaging("10x10-3p-3f")
    state = placed(task, [[2, 5], [4, 5], [3, 4]], [[3, 5], [7, 2], [8, 8]], [[1, 2, 2], [3, 2, 1]])
    after, reward, _ = task.step(state, torch.tensor([LOAD, LOAD, 0])[None, None])
    torch.testing.assert_close(reward[0, 0], torch.tensor([1 * 3 / (3 * 6), 2 * 3 / (3 * 6), 0.0]))
    assert after["food_level"][0, 0].tolist() == [0, 2, 1]
    _, nothing, _ = task.step(state, torch.tensor([LOAD, 0, 0])[None, None])
    assert not nothing.any()
    # Where food was, an agent can go, and there is nothing to load any more.
    gone, reward, _ = task.step(after, torch.tensor([2, LOAD, 0])[None, None])
    assert gone["agent_pos"][0, 0].tolist() == [[3, 5], [4, 5], [3, 4]]
    assert not reward.any()


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(list(SETTINGS)), st.integers(0, 2**32))
def test_the_team_earns_the_share_of_food_it_eats(name: str, seed: int) -> None:
    task = LevelBasedForaging(name)
    state = scattered(task, 20, seed)
    for _ in range(3):
        action = torch.randint(0, 6, (1, 20, task.card.agents), generator=torch.Generator().manual_seed(seed))
        after, reward, terminated = task.step(state, torch.where(action == 0, LOAD, action))
        eaten = (state["food_level"] - after["food_level"]).sum(-1) / state["food_total"]
        torch.testing.assert_close(reward.sum(-1), eaten)
        torch.testing.assert_close(terminated, after["food_level"].sum(-1) == 0)
        state = after


@ALL
def test_observe_takes_more_leading_axes(name: str) -> None:
    task = LevelBasedForaging(name)
    states = [scattered(task, 5, seed) for seed in range(3)]
    together = task.observe({field: torch.stack([state[field] for state in states]) for field in states[0]})
    torch.testing.assert_close(together, torch.stack([task.observe(state) for state in states]), rtol=0, atol=0)


# ---------------------------------------------------------------- how episodes begin


def fresh(task: LevelBasedForaging, environments: int, seed: int = 0) -> State:
    return task.reset([torch.Generator().manual_seed(seed)], environments)


@ALL
def test_resets_keep_the_rules(name: str) -> None:
    task = LevelBasedForaging(name)
    state = {field: value[0] for field, value in fresh(task, 5000).items()}
    setting, agents, foods = task.setting, state["agent_pos"], state["food_pos"]
    assert ((agents >= 0) & (agents < setting.size)).all()
    assert ((foods >= 1) & (foods < setting.size - 1)).all()
    bodies = torch.cat((agents, foods), 1)
    apart = (bodies.unsqueeze(1) - bodies.unsqueeze(2)).abs().sum(-1) + 99 * torch.eye(bodies.shape[1])
    assert (apart > 0).all()
    rows, columns = (foods.unsqueeze(1) - foods.unsqueeze(2)).abs().unbind(-1)
    pairs = ~torch.eye(setting.foods, dtype=torch.bool)
    assert not ((rows <= 1) & (columns <= 1) & pairs).any()
    assert not ((rows * columns == 0) & (rows + columns <= 2) & pairs).any()
    number = foods[..., 0] * setting.size + foods[..., 1]
    assert (number.diff(dim=-1) > 0).all()
    assert set(state["agent_level"].unique().tolist()) == {1.0, 2.0}
    highest = state["agent_level"].sort(-1).values[:, :3].sum(-1, keepdim=True)
    if setting.cooperation:
        assert (state["food_level"] == highest).all()
    else:
        assert ((state["food_level"] >= 1) & (state["food_level"] <= highest)).all()
        assert (state["food_level"] == highest).any()
    assert (state["food_total"] == state["food_level"].sum(-1)).all()


def statistics_of(state: State, size: int) -> dict[str, np.ndarray]:
    """What the two ways of beginning are compared in, each a whole number per environment."""
    agents, foods = (state[field][0].long().numpy() for field in ("agent_pos", "food_pos"))
    levels, food_levels = (state[field][0].long().numpy() for field in ("agent_level", "food_level"))
    nearest = np.abs(agents[:, :, None] - foods[:, None]).sum(-1).min((1, 2))
    gap = foods[:, 1] - foods[:, 0]
    return {
        "cell of the first agent": agents[:, 0] @ (size, 1),
        "cell of the last agent": agents[:, -1] @ (size, 1),
        "cell of the first food": foods[:, 0] @ (size, 1),
        "cell of the last food": foods[:, -1] @ (size, 1),
        "second food seen from the first": gap @ (2 * size, 1),
        "distance of the nearest agent and food": nearest,
        "levels of the agents": levels @ 3 ** np.arange(levels.shape[1]),
        "levels of the first two foods and sum of all agents'": food_levels[:, :2] @ (10, 100) + levels.sum(-1) * 1000,
    }


@pytest.mark.parametrize("name", ["8x8-2p-2f-coop", "10x10-3p-3f", "15x15-4p-5f"])
def test_resets_are_distributed_as_the_references(name: str) -> None:
    """Chi-square tests of homogeneity; a true difference of some per cent in a common category would be seen."""
    task = LevelBasedForaging(name)
    env = foraging.ForagingEnv(**arguments(task.setting))
    env.seed(11)
    env._make_gym_obs = lambda: None  # what is seen does not matter here, and takes most of the time
    drawn = []
    for _ in range(3000):
        for player in env.players:
            player.position = None  # as in a new environment: else cells of the episode before stay closed
        env.reset()
        drawn.append(read([env]))
    theirs = {field: torch.cat([state[field] for state in drawn], 1) for field in drawn[0]}
    ours = statistics_of(fresh(task, 60_000), task.setting.size)
    for what, values in statistics_of(theirs, task.setting.size).items():
        assert p_value(values, ours[what]) > 1e-4, what


def p_value(few: np.ndarray, many: np.ndarray) -> float:
    """That both are drawn alike, by a chi-square test over the categories of which `few` should hold 5 or more."""
    categories, counts = np.unique(many, return_counts=True)
    expected = counts * len(few) / len(many)
    common = categories[expected >= 5]
    table = [[*((values == c).sum() for c in common), (~np.isin(values, common)).sum()] for values in (few, many)]
    columns = np.array(table)
    return stats.chi2_contingency(columns[:, columns.sum(0) > 0]).pvalue


def test_food_cells_follow_the_exact_distribution() -> None:
    """Both foods of 8x8-2p-2f-coop against all that the reference's rejection sampling can do, enumerated."""
    size = 8
    inner = list(itertools.product(range(1, size - 1), repeat=2))
    env = foraging.ForagingEnv(**arguments(SETTINGS["8x8-2p-2f-coop"]))
    fits = np.zeros((36, 36), bool)
    for i, cell in enumerate(inner):
        env.field = np.zeros((size, size), np.int32)
        env.field[cell] = 1
        for j, (row, column) in enumerate(inner):
            around = env.neighborhood(row, column).sum() + env.neighborhood(row, column, distance=2, ignore_diag=True)
            fits[i, j] = around == 0
    exact = np.zeros((36, 36))
    outside = size * size - 36
    # Agents stand on no, one or two inner cells; -1 is any cell outside.
    places = [(-1, outside)] + [(i, 1) for i in range(36)]
    for (a, ways_a), (b, ways_b) in itertools.product(places, repeat=2):
        ways = ways_a * (ways_b - 1 if a == b == -1 else ways_b) if (a != b or a == -1) else 0
        if ways:
            free = np.ones(36)
            free[[i for i in (a, b) if i >= 0]] = 0
            second = fits * free
            exact += ways / (64 * 63) * (free / free.sum())[:, None] * second / second.sum(1, keepdims=True)
    assert exact.sum() == pytest.approx(1)
    exact = exact + exact.T  # ours are in reading order

    foods = fresh(LevelBasedForaging("8x8-2p-2f-coop"), 400_000, seed=5)["food_pos"][0].long().numpy()
    index = (foods - 1) @ (6, 1)
    observed = np.zeros((36, 36))
    np.add.at(observed, (index[:, 0], index[:, 1]), 1)
    possible = np.triu(exact > 0)
    assert observed[~possible].sum() == 0
    assert stats.chisquare(observed[possible], exact[possible] * len(foods)).pvalue > 1e-4


def test_agents_begin_in_any_two_cells_alike() -> None:
    agents = fresh(LevelBasedForaging("8x8-2p-2f-coop"), 400_000, seed=6)["agent_pos"][0].long().numpy()
    counts = np.bincount((agents @ (8, 1)) @ (64, 1), minlength=64 * 64).reshape(64, 64)
    assert np.diagonal(counts).sum() == 0
    assert stats.chisquare(counts[~np.eye(64, dtype=bool)]).pvalue > 1e-4


def test_a_member_draws_from_its_own_generator_alone() -> None:
    task = LevelBasedForaging("15x15-4p-5f")
    together = task.reset([torch.Generator().manual_seed(seed) for seed in (7, 8)], 4)
    alone = task.reset([torch.Generator().manual_seed(8)], 4)
    for field in alone:
        torch.testing.assert_close(together[field][1:], alone[field], rtol=0, atol=0)


# ---------------------------------------------------------------- what is measured


def test_metrics_count_only_while_the_episode_lives() -> None:
    """One episode that eats all at its second step, one that eats one food and ends with the other left."""
    task = LevelBasedForaging("8x8-2p-2f-coop")
    food_level = torch.tensor([[[3, 3], [4, 4]], [[0, 3], [4, 4]], [[0, 0], [0, 4]], [[3, 3], [0, 0]]])
    reward = torch.tensor([[[0.25, 0.25], [0, 0]], [[0.25, 0.25], [0.125, 0.375]], [[0, 0], [0, 0]]])
    alive = torch.tensor([[True, True], [True, True], [False, False]])
    episodes = Episodes(
        {"food_level": food_level.float().unsqueeze(1)},
        reward.unsqueeze(1),
        torch.zeros(3, 1, 2, 2, dtype=torch.int64),
        alive.unsqueeze(1),
    )
    metrics = {name: value[0].tolist() for name, value in task.metrics(episodes).items()}
    assert metrics == {
        "return_sum": [1.0, 0.5],
        "foods": [1.0, 0.5],
        "success": [1.0, 0.0],
        "native_return": [0.5, 0.25],
    }


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("8x8-2p-2f-coop", 0.003, 0.013), ("10x10-3p-3f", 0.37, 0.43), ("15x15-3p-5f", 0.30, 0.36)],
)
def test_random_agents_are_rewarded_as_seldom_as_in_the_reference(name: str, low: float, high: float) -> None:
    """Share of random episodes with any reward; the reference gave .008, .40 and .33."""
    task = LevelBasedForaging(name)
    draws = torch.Generator().manual_seed(4)
    state = fresh(task, 3000)
    rewarded = torch.zeros(1, 3000, dtype=torch.bool)
    for _ in range(50):
        state, reward, _ = task.step(state, torch.randint(0, 6, (1, 3000, task.card.agents), generator=draws))
        rewarded |= reward.sum(-1) > 0
    assert low < float(rewarded.float().mean()) < high
