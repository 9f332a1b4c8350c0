"""Exports: the same rewards, observations and actions as in training, in processes that have never seen marlsmith."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium
import lbforaging  # noqa: F401 - registers its environments
import numpy as np
import pytest
import torch
from export_runs import ID, SEEDS, MadeRun
from mpe2 import simple_reference_v3, simple_speaker_listener_v4, simple_spread_v3
from pettingzoo.test import parallel_api_test

from marlsmith.graph.adapting.main_run import Lap
from marlsmith.graph.methods import Method
from marlsmith.marl.observing import Observer
from marlsmith.marl.signals.view import Transitions, transition_view
from marlsmith.marl.tasks import State, mpe
from marlsmith.marl.tasks.base import Episodes
from marlsmith.results.exporting.write import export
from marlsmith.schemas import NATIVE, Code, RewardConfig, Signal, UserError

ROOT = Path(__file__).parents[2]
MARL_TESTS = ROOT / "tests" / "marl"

EVERYTHING = """
import torch

ALPHA = [{alpha}]
SCOPE = "own"
CALLS = iter((2.0, 3.0, 4.0))


def agent_reward(state):
    moved = (state.{place} - state.prev.{place}).norm(dim=-1)
    seen = (state.obs - state.prev_obs).abs().sum(-1)
    did = 0.1 * state.action.float()
    return {{"moved": moved, "seen": next(CALLS) * seen, "native": state.reward, "did": did{more}}}


def global_reward(state):
    late = state.time - 0.5 * state.prev.time
    return {{"late": late + state.training_progress, "seen": state.obs.sum((-1, -2)) * state.gamma}}


def enhance_observation(obs, history):
    return torch.cat((history[:, -2] * 0.5, (obs - history[:, 0]).abs().sum(-1, keepdim=True)), -1)
"""
"""Reads every kind of thing that a signal may read."""

PUBLISHED = """
import numpy as np

def near(self, agent, world):
    return min(np.sqrt(np.sum(np.square(agent.state.p_pos - mark.state.p_pos))) for mark in world.landmarks)

def agent_reward(self, agent, world):
    touching = sum(self.is_collision(agent, other) for other in world.agents if other is not agent)
    return -near(self, agent, world) - touching

def global_reward(self, world):
    return float(len(world.agents)) - sum(np.abs(agent.state.p_vel).sum() for agent in world.agents)
"""


def code(text: str) -> Signal:
    found = Code(source=text)
    observes = "enhance_observation" in text or "stateEnhance" in text
    return Signal(reward=found if "_reward" in text else None, observation=found if observes else None)


def everything(agents: int, place: str = "agent_pos", more: str = "") -> Signal:
    alpha = ", ".join(str(0.3 + 0.1 * i) for i in range(agents))
    return code(EVERYTHING.format(alpha=alpha, place=place, more=more))


def loaded(directory: Path, name: str) -> ModuleType:
    """A module of an export, found in its directory as by a user's own script."""
    inside = ("signal_functions", "signal_env", "policy", "score")
    sys.path.insert(0, str(directory))
    try:
        for one in inside:
            sys.modules.pop(one, None)
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(directory))
        for one in inside:
            sys.modules.pop(one, None)


@pytest.fixture
def taken_home(tmp_path: Path) -> Any:
    """Makes a run of a task with a signal, and exports it."""

    def take(task: str, signal: Signal, **more: Any) -> tuple[MadeRun, Path]:
        run = MadeRun(tmp_path / "run", task, signal, **{"trained": False, **more})
        export(run.path, tmp_path / "home", ID, trusted=True)
        return run, tmp_path / "home"

    return take


# ---------------------------------------------------------------- the wrapper beside the trainer


def foraging_state(env: Any) -> State:
    """How an episode of lbforaging begins, read by itself."""
    foods = np.argwhere(env.unwrapped.field)
    levels = env.unwrapped.field[env.unwrapped.field > 0]
    arrays = {
        "agent_pos": np.array([player.position for player in env.unwrapped.players]),
        "agent_level": np.array([player.level for player in env.unwrapped.players]),
        "food_pos": foods,
        "food_level": levels,
        "food_total": np.array(levels.sum()),
    }
    return {name: torch.from_numpy(np.asarray(value, np.float32))[None, None] for name, value in arrays.items()}


def expected(task: Any, run: MadeRun, state: State, actions: Any, progress: float) -> Iterator[Any]:
    """What marlsmith's own task and signal make of the same actions, step by step."""
    observer, horizon = Observer(run.program), task.card.horizon
    obs = task.observe(state)
    yield None, None, observer.restart(obs)[0, 0].numpy()
    for clock, action in enumerate(actions, 1):
        chosen = torch.tensor(action)[None, None]
        after, native, _ = task.step(state, chosen)
        seen = task.observe(after)
        one = Transitions(
            {name: value[None] for name, value in state.items()},
            {name: value[None] for name, value in after.items()},
            obs[None], seen[None], chosen[None], native[None], torch.full((1, 1, 1), clock),
        )  # fmt: skip
        view = transition_view(one, horizon, progress, run.config.gamma)
        reward = run.program.reward(view, 1, task.card.agents)[0][0] if run.program.shapes_reward else native[0, 0]
        yield native[0, 0].numpy(), reward.numpy(), observer.observe(seen)[0, 0].numpy()
        state, obs = after, seen


MPE = [
    ("mpe/simple_spread", lambda: simple_spread_v3.parallel_env(N=3, max_cycles=25), 3, ""),
    ("mpe/simple_spread?agents=5", lambda: simple_spread_v3.parallel_env(N=5, max_cycles=25), 5, ""),
    ("mpe/simple_spread_sparse", lambda: simple_spread_v3.parallel_env(N=3, max_cycles=25), 3, ""),
    (
        "mpe/simple_reference",
        lambda: simple_reference_v3.parallel_env(max_cycles=25),
        2,
        ', "goal": state.goal.float(), "word": state.message.argmax(-1).float()',
    ),
    (
        "mpe/simple_speaker_listener",
        lambda: simple_speaker_listener_v4.parallel_env(max_cycles=25),
        2,
        ', "goal": state.goal.float(), "word": state.message.argmax(-1).float()',
    ),
]


PAIR = {"goal": "state.goal.float()", "word": "state.message.argmax(-1).float()"}
PAIR_TERMS = "".join(f', "{name}": {value}' for name, value in PAIR.items())
MPE: dict[str, tuple[Any, dict[str, int]]] = {
    "mpe/simple_spread": (simple_spread_v3, {"N": 3}),
    "mpe/simple_spread?agents=5": (simple_spread_v3, {"N": 5}),
    "mpe/simple_spread_sparse": (simple_spread_v3, {"N": 3}),
    "mpe/simple_reference": (simple_reference_v3, {}),
    "mpe/simple_reference_sparse": (simple_reference_v3, {}),
    "mpe/simple_speaker_listener": (simple_speaker_listener_v4, {}),
    "mpe/simple_speaker_listener_sparse": (simple_speaker_listener_v4, {}),
}


def particles(name: str) -> Any:
    module, options = MPE[name]
    return module.parallel_env(max_cycles=25, **options)


def assert_same(
    env: Any, run: MadeRun, start: Callable[[], State], seed: int, steps: int, progress: float = 0.0
) -> list[Any]:
    """Whole episodes of the wrapper beside our own program, from the same start; the native rewards."""
    draws = np.random.default_rng(seed)
    agents = env.possible_agents
    actions = [[int(draws.integers(env.action_space(name).n)) for name in agents] for _ in range(steps)]
    shown, _ = env.reset(seed=seed)
    natives = []
    ours = expected(run.task, run, start(), actions, progress)
    _, _, first = next(ours)
    np.testing.assert_allclose(np.stack([shown[name] for name in agents]), first, atol=1e-5)
    for action, (native, reward, observation) in zip(actions, ours, strict=True):
        if not env.agents:
            break
        shown, paid, _, _, infos = env.step(dict(zip(agents, action, strict=True)))
        np.testing.assert_allclose([infos[name]["native_reward"] for name in agents], native, atol=1e-5)
        np.testing.assert_allclose([infos[name]["shaped_reward"] for name in agents], reward, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose([paid[name] for name in agents], reward, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(np.stack([shown[name] for name in agents]), observation, atol=1e-5)
        assert all(env.observation_space(name).contains(shown[name]) for name in agents)
        natives.append(native)
    return natives


@pytest.mark.parametrize("name", MPE)
def test_the_wrapper_shows_and_pays_what_training_did(taken_home: Any, name: str) -> None:
    agents = 5 if "5" in name else 3 if "spread" in name else 2
    run, home = taken_home(name, everything(agents, more="" if "spread" in name else PAIR_TERMS))
    env = loaded(home, "signal_env").SignalEnv(particles(name))
    env.training_progress = 0.25
    task: Any = run.task
    dense = getattr(task, "dense", task)
    for seed in (1, 2):
        assert_same(env, run, partial(dense.reference_reset, [seed]), seed, 25, 0.25)
    assert not env.agents


@pytest.mark.parametrize("name", ["mpe/simple_spread_sparse", "mpe/simple_speaker_listener_sparse"])
def test_sparse_success_is_paid_where_it_happens(taken_home: Any, name: str) -> None:
    """Random play hardly ever succeeds: here the agents are put where they belong."""
    _, home = taken_home(name, everything(3 if "spread" in name else 2))
    env = loaded(home, "signal_env").SignalEnv(particles(name))
    env.reset(seed=0)
    world = env.env.unwrapped.world
    still = dict.fromkeys(env.possible_agents, 0)
    *_, before = env.step(still)
    for agent, mark in zip(world.agents, world.landmarks, strict=False):
        agent.state.p_pos, agent.state.p_vel = mark.state.p_pos + 0.01, np.zeros(2)
    if "listener" in name:
        world.agents[1].state.p_pos = world.agents[0].goal_b.state.p_pos + np.full(2, 0.06)
    *_, after = env.step(still)
    assert {infos["native_reward"] for infos in before.values()} == {0.0}
    assert {infos["native_reward"] for infos in after.values()} == {1.0}


FOOD_TERMS = (
    ', "left": state.food_level.sum(-1, keepdim=True) + 0 * state.reward, '
    '"all": state.food_total[:, None] + state.agent_level, '
    '"where": (state.food_pos * state.prev.food_level[..., None]).sum((-1, -2))[:, None] + 0 * state.reward'
)


FORAGING = {"8x8-2p-2f-coop": "Foraging-8x8-2p-2f-coop-v3", "10x10-3p-3f-2s": "Foraging-2s-10x10-3p-3f-v3"}
WORLDS = [pytest.param("8x8-2p-2f-coop", marks=pytest.mark.slow), "10x10-3p-3f-2s"]


@pytest.mark.parametrize("world", WORLDS)
def test_the_wrapper_of_foraging(taken_home: Any, world: str) -> None:
    agents = 2 if "2p" in world else 3
    run, home = taken_home(f"lbf/{world}", everything(agents, more=FOOD_TERMS))
    plain = gymnasium.make(FORAGING[world], disable_env_checker=True)
    env = loaded(home, "signal_env").SignalEnv(plain)
    eaten = 0.0
    for seed in range(6):
        eaten += float(np.sum(assert_same(env, run, partial(foraging_state, plain), seed, 50)))
    assert eaten > 0 or "coop" in world


# ---------------------------------------------------------------- the score


def our_metrics(task: Any, state: State, actions: Any) -> dict[str, float]:
    """What marlsmith's own task says of one episode."""
    states, rewards = [state], []
    for action in actions:
        state, native, _ = task.step(state, torch.tensor(action)[None, None])
        states.append(state)
        rewards.append(native)
    played = Episodes(
        {name: torch.stack([one[name] for one in states]) for name in states[0]},
        torch.stack(rewards), torch.tensor(actions)[:, None, None], torch.ones(len(actions), 1, 1, dtype=torch.bool),
    )  # fmt: skip
    return {name: float(value.float()) for name, value in task.metrics(played).items()}


SCORED = ["mpe/simple_spread_sparse", "mpe/simple_reference", "mpe/simple_speaker_listener_sparse"]


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("name", [*SCORED, "lbf/10x10-3p-3f-2s"])
def test_the_score_is_the_tasks_own(taken_home: Any, name: str, wrapped: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is reached reaches far here: random play would succeed too seldom to tell."""
    monkeypatch.setattr(mpe, "REACH", 0.7)
    run, home = taken_home(name, code("def agent_reward(state):\n    return 0 * state.reward - 1\n"))
    module, seeds = loaded(home, "score"), range(3, 9)
    forages = name.startswith("lbf/")
    plain = gymnasium.make(FORAGING["10x10-3p-3f-2s"], disable_env_checker=True) if forages else particles(name)
    env = module.SignalEnv(plain) if wrapped else plain
    task: Any = run.task
    dense, draws, starts = getattr(task, "dense", task), np.random.default_rng(2), list[State]()
    played: list[list[list[int]]] = []

    def begin() -> None:
        seed = seeds[len(starts)]
        starts.append(foraging_state(plain) if forages else dense.reference_reset([seed]))
        played.append([])

    def act(observations: Any) -> dict[Any, int]:
        sizes = [len(meanings) for meanings in task.card.actions.meanings]
        played[-1].append([int(draws.integers(size)) for size in sizes])
        return dict(zip(observations, played[-1][-1], strict=True))

    found = module.score(env, act, begin=begin, episodes=len(seeds), seed=seeds[0])
    ours = [our_metrics(task, state, actions) for state, actions in zip(starts, played, strict=True)]
    for metric, value in found.items():
        assert value == pytest.approx(np.mean([one[metric] for one in ours]), abs=1e-5), metric
    assert task.card.score in found
    assert found[task.card.score] > 0
    assert not forages or found.keys() == ours[0].keys()


@pytest.mark.parametrize("name", ["mpe/simple_spread", "mpe/simple_speaker_listener"])
def test_published_style_reads_the_real_world(taken_home: Any, name: str) -> None:
    run, home = taken_home(name, code(PUBLISHED))
    env = loaded(home, "signal_env").SignalEnv(particles(name))
    assert_same(env, run, partial(run.task.reference_reset, [4]), 4, 25)  # type: ignore[attr-defined]


def test_what_is_added_fades_as_in_the_run(taken_home: Any) -> None:
    signal = code("def agent_reward(state):\n    return state.training_progress[:, None] + 0 * state.reward + 1\n")
    method = Method(adapts=True, reward_mode="add", fade=0.5)
    _, home = taken_home("mpe/simple_spread", signal, method=method)
    module = loaded(home, "signal_env")

    def paid(**options: Any) -> list[float]:
        env = module.SignalEnv(particles("mpe/simple_spread"), **options)
        env.reset(seed=0)
        added = []
        while env.agents:
            _, rewards, _, _, infos = env.step(dict.fromkeys(env.agents, 1))
            added.append(rewards["agent_0"] - infos["agent_0"]["native_reward"])
        return added

    progress = np.arange(1, 26) / 25
    left = np.clip((0.875 - progress) / 0.375, 0, 1)  # from .5 on, to nothing at .875
    np.testing.assert_allclose(paid(), 1.0, atol=1e-5)
    np.testing.assert_allclose(paid(training_steps=25), left * (1 + progress), atol=1e-5)
    np.testing.assert_allclose(paid(shaping_left=0.5), 0.5, atol=1e-5)
    np.testing.assert_allclose(
        paid(shaping_left=lambda share: 1 - share, training_steps=25), 1 - progress**2, atol=1e-5
    )


# ---------------------------------------------------------------- the policy

NETWORKS = [
    {"algorithm": "mappo"},
    {"algorithm": "mappo", "sharing": "separate"},
    {"algorithm": "ippo", "network": "gru"},
    {"algorithm": "vdn"},
    {"algorithm": "qmix", "network": "gru", "sharing": "separate", "sequence": 8},
]


@pytest.mark.parametrize("train", NETWORKS, ids=lambda train: "-".join(map(str, train.values())))
@pytest.mark.parametrize("name", ["mpe/simple_spread", "mpe/simple_speaker_listener"])
def test_the_policy_chooses_what_ours_chooses(taken_home: Any, name: str, train: dict[str, Any]) -> None:
    """Both seeds, several steps of several episodes at once, from the task's own observations."""
    run, home = taken_home(name, everything(3 if "spread" in name else 2), trained=True, train=train)
    policies = [loaded(home, "policy").Policy.load(seed=seed) for seed in SEEDS]
    card, episodes = run.task.card, 40
    draws = torch.Generator().manual_seed(0)
    observer, memory = Observer(run.program), run.trainer.algorithm.fresh_memory(episodes)
    task: Any = run.task
    environments = task.open([draws, draws], episodes)
    chosen = set()
    for step in range(6):
        obs = torch.randn(2, episodes, card.agents, card.observation_size, generator=draws)
        shown = observer.observe(obs) if step else observer.restart(obs)
        ours, memory = run.trainer.algorithm.act_greedily(shown, environments.available, memory)
        for member, policy in enumerate(policies):
            np.testing.assert_array_equal(policy.act(obs[member].numpy()), ours[member].numpy())
        chosen |= set(ours.flatten().tolist())
    assert len(chosen) > 2


def test_the_policy_takes_dicts_rows_of_their_own_length_and_enhanced_ones(taken_home: Any) -> None:
    name = "mpe/simple_speaker_listener"
    _, home = taken_home(name, everything(2), trained=True)
    policy, wrapped = loaded(home, "policy").Policy.load(), loaded(home, "policy").Policy.load()
    assert policy.seed == SEEDS[1], "the seed with the highest score"
    plain, env = particles(name), loaded(home, "signal_env").SignalEnv(particles(name))
    seen, _ = plain.reset(seed=5)
    shown, _ = env.reset(seed=5)
    while plain.agents:
        actions = policy.act(seen)
        assert set(actions) == {"speaker_0", "listener_0"}
        assert actions["speaker_0"] < 3
        assert wrapped.act(shown) == actions
        listener = actions["listener_0"]
        assert policy_without(policy, seen, listener)["listener_0"] != listener
        seen, *_ = plain.step(actions)
        shown, *_ = env.step(actions)


def policy_without(policy: Any, seen: dict[str, Any], taken: int) -> Any:
    """What it would do if one of the listener's actions could not be chosen."""
    kept = policy._enhancer._history
    may = {"speaker_0": np.ones(3), "listener_0": np.arange(5) != taken}
    actions = policy.act(seen, available=may)
    policy._enhancer._history = kept
    return actions


def test_a_policy_says_what_does_not_fit(taken_home: Any) -> None:
    _, home = taken_home("mpe/simple_spread", everything(3), trained=True)
    module = loaded(home, "policy")
    with pytest.raises(ValueError, match="no seed 5: choose one of 3, 8"):
        module.Policy.load(seed=5)
    policy = module.Policy.load()
    with pytest.raises(ValueError, match="2 agents, and the policy has 3"):
        policy.act(np.zeros((2, 18)))
    with pytest.raises(ValueError, match="has 20 numbers"):
        policy.act(np.zeros((3, 20)))


# ---------------------------------------------------------------- an environment of one's own

CARD = """
environment = "pettingzoo:environments_for_tests:Reacher"
target = "goal"
reach = 0.2

[score]
from = "environments_for_tests:closeness"
reduce = "last"

[[fields]]
name = "point_pos"
columns = [0, 2]
kind = "position"

[[fields]]
name = "goal_pos"
columns = [2, 6]
agent = 0
shape = [2, 2]

[[entities]]
name = "agent"
count = 2
position = "point_pos"
radius = 0.05

[[entities]]
name = "goal"
count = 2
position = "goal_pos"
radius = 0.05
"""
OWN = """
import torch

def agent_reward(state):
    gap = (state.goal_pos - state.point_pos).norm(dim=-1)
    before = (state.prev.goal_pos - state.prev.point_pos).norm(dim=-1)
    return {"gap": before - gap, "did": state.action.square().sum(-1), "score": state.score[:, None] + gap}

def enhance_observation(obs):
    return obs[..., :2] - obs[..., 2:4]
"""


def test_an_environment_of_ones_own(taken_home: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Continuous actions, and a state that a task card cuts out of what the environment gives."""
    monkeypatch.chdir(MARL_TESTS)
    monkeypatch.syspath_prepend(str(MARL_TESTS))
    (tmp_path / "reacher.toml").write_text(CARD)
    run, home = taken_home(str(tmp_path / "reacher.toml"), code(OWN), trained=True, train={"steps": 32})
    reacher = loaded(MARL_TESTS, "environments_for_tests").Reacher
    policy = loaded(home, "policy").Policy.load(seed=SEEDS[0])
    env = loaded(home, "signal_env").SignalEnv(reacher())
    draws = torch.Generator().manual_seed(0)
    task: Any = run.task
    ours = task.open([draws, draws.clone_state()], 1)
    seed = int(torch.randint(1 << 31, (1,), generator=torch.Generator().manual_seed(0)))
    shown, _ = env.reset(seed=seed)
    observer, spaces = Observer(run.program), {name: env.action_space(name) for name in env.agents}
    enhanced = observer.restart(ours.observation)
    for clock in range(1, 6):
        np.testing.assert_allclose(np.stack(list(shown.values())), enhanced[0, 0].numpy(), atol=1e-5)
        action = run.trainer.algorithm.act_greedily(enhanced, None, None)[0].clamp(-1, 1)
        taken = policy.act(shown, spaces=spaces)
        np.testing.assert_allclose(policy.act(np.stack(list(shown.values()))), action[0, 0].numpy(), atol=1e-5)
        before, obs = ours.state, ours.observation
        native = ours.step(action).reward
        enhanced = observer.observe(ours.observation)
        one = Transitions(
            {k: v[None] for k, v in before.items()}, {k: v[None] for k, v in ours.state.items()}, obs[None],
            ours.observation[None], action[None], native[None], torch.full((1, 2, 1), clock),
        )  # fmt: skip
        reward = run.program.reward(transition_view(one, task.card.horizon, 0.0, run.config.gamma), 2, 2)[0][0]
        shown, paid, _, _, infos = env.step(taken)
        np.testing.assert_allclose(list(paid.values()), reward.numpy(), atol=1e-5)
        assert infos[0]["native_reward"] == pytest.approx(float(native[0, 0, 0]), abs=1e-5)
    ours.close()


# ---------------------------------------------------------------- elsewhere

BLOCKED = """
import sys

class Nowhere:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "marlsmith":
            raise ImportError(f"{name} is not here")

sys.meta_path.insert(0, Nowhere())
"""


def examples(home: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (home / "README.md").read_text("utf-8"), re.S)


@pytest.mark.parametrize("task", ["mpe/simple_reference_sparse", "lbf/15x15-3p-5f"])
def test_the_examples_of_the_readme_run_where_marlsmith_is_not(taken_home: Any, task: str) -> None:
    agents = 2 if "reference" in task else 3
    _, home = taken_home(task, everything(agents), trained=True)
    random_play, policy_play, scoring, training = examples(home)
    scoring = scoring.replace("episodes=20", "episodes=1")
    compile(training, "training", "exec")
    script = f"{BLOCKED}\n{random_play}\n{policy_play}\n{scoring}\nprint('marlsmith' in sys.modules, len(rewards))"
    done = subprocess.run([sys.executable, "-c", script], cwd=home, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"False {agents}"
    assert "import marlsmith" not in "".join(file.read_text("utf-8") for file in home.glob("*.py"))


def test_the_example_of_the_docs_runs(taken_home: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _, home = taken_home("mpe/simple_spread", everything(3))
    monkeypatch.setitem(sys.modules, "signal_env", loaded(home, "signal_env"))
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "export.md").read_text("utf-8"), re.S)
    made: dict[str, Any] = {}
    exec(example, made)
    shown, _ = made["env"].reset(seed=0)
    assert made["env"].training_steps == 100_000
    assert all(len(row) > 18 for row in shown.values()), "the task's 18 numbers and the signal's features"


def test_a_copy_of_the_wrapper_is_as_good(taken_home: Any, tmp_path: Path) -> None:
    """As SuperSuit makes them, by cloudpickle; and as a module of a package, for several exports at once."""
    taken_home("mpe/simple_spread", everything(3))
    script = (
        "import cloudpickle, numpy as np\nfrom mpe2 import simple_spread_v3\nfrom home.signal_env import SignalEnv\n"
        "env = SignalEnv(simple_spread_v3.parallel_env(N=3, max_cycles=25))\n"
        "copy = cloudpickle.loads(cloudpickle.dumps(env))\n"
        "for one in (env, copy):\n"
        "    one.reset(seed=1)\n"
        "    print([list(x.values()) for x in one.step(dict.fromkeys(one.agents, 2))[1:2]])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    one, copy = done.stdout.splitlines()
    assert one == copy


@pytest.mark.parametrize("name", ["mpe/simple_spread", "mpe/simple_speaker_listener", "lbf/8x8-2p-2f-coop"])
def test_the_wrapper_passes_pettingzoos_own_test(taken_home: Any, name: str) -> None:
    _, home = taken_home(name, everything(3 if "spread" in name else 2))
    plain = particles(name) if name in MPE else gymnasium.make("Foraging-8x8-2p-2f-coop-v3", disable_env_checker=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        parallel_api_test(loaded(home, "signal_env").SignalEnv(plain), 60)


def test_the_wrapper_says_what_does_not_fit(taken_home: Any) -> None:
    _, home = taken_home("mpe/simple_spread", everything(3))
    make = loaded(home, "signal_env").SignalEnv
    with pytest.raises(ValueError, match="3 agents, and the environment has 2"):
        make(simple_spread_v3.parallel_env(N=2))
    with pytest.raises(ValueError, match="AEC environment"):
        make(simple_spread_v3.env(N=3))
    with pytest.raises(ValueError, match="discrete actions"):
        make(simple_spread_v3.parallel_env(N=3, continuous_actions=True))
    with pytest.raises(ValueError, match="neither a PettingZoo"):
        make(gymnasium.make("CartPole-v1"))
    with pytest.raises(ValueError, match="'replace' or 'add'"):
        make(simple_spread_v3.parallel_env(N=3), mode="both")


def test_what_is_taken_home_is_written_as_the_house_writes() -> None:
    """Its files are no modules here, so nothing else looks at them."""
    homes = ROOT / "results" / "exporting" / "files"
    for file in sorted(homes.glob("*.py.txt")):
        for arguments in (["check", "--ignore", "TID"], ["format", "--check"]):
            command = [sys.executable, "-m", "ruff", *arguments, "--stdin-filename", str(ROOT / "results" / "one.py")]
            done = subprocess.run([*command, "-"], input=file.read_text(), capture_output=True, text=True, cwd=ROOT)
            assert done.returncode == 0, f"{file.name}: {done.stdout}{done.stderr}"
    assert (homes / "LICENSE.txt").read_text() == (ROOT / "LICENSE").read_text()


# ---------------------------------------------------------------- what is written, and what is refused


def test_the_readme_and_the_facts(taken_home: Any) -> None:
    signal = everything(3).model_copy(update={"reward": None})
    team = Code(source=signal.observation.source.replace('"own"', '"team"'))  # type: ignore[union-attr]
    _, home = taken_home(
        "mpe/simple_spread", Signal(observation=team), trained=True, rationale="<b>Trust</b> [me](http://x) `now`"
    )
    said, facts = (home / "README.md").read_text("utf-8"), json.loads((home / "export.json").read_text("utf-8"))
    assert "It was **promoted**: for the test." in said
    assert "+0.000, 95% interval [-0.100, +0.100]" in said
    assert "That interval holds zero: it has two sides, and the bound that decides has one" in said
    assert f"the highest score, {SEEDS[1]}; `Policy.load(seed={SEEDS[0]})` takes another one." in said
    assert "**Scope team**" in said
    assert "Rewards** stay the native ones" in said
    assert r"\<b\>Trust\</b\> \[me\](http://x) \`now\`" in said
    assert facts["candidate"] == {"id": ID, "author": "a test", "promoted": True, "parents": []}
    assert facts["policy"]["seeds"] == list(SEEDS)
    assert facts["policy"]["best_seed"] == SEEDS[1]
    assert facts["signal"]["agent_reward"] is None
    assert facts["signal"]["scope"] == "team"


@pytest.mark.parametrize("rolled_back", [False, True])
def test_of_an_adapted_main_run_all_heats_come(tmp_path: Path, rolled_back: bool) -> None:
    """With the signal that it carries at its end; networks that read other features stay where they are."""
    method = Method(adapts=True, reward_mode="add")
    run = MadeRun(tmp_path / "run", "mpe/simple_spread", everything(3), method=method, main_run=True)
    branch = run.directory.path / "branches" / f"{ID}-confirm"
    names = [f"main/main-s1-h{heat}.safetensors" for heat in (1, 2)]
    for name in names:
        shutil.copy(branch / "checkpoint.safetensors", run.path / name)
    evaluation = run.directory.required_evaluation(branch.name)
    signal = code("def agent_reward(state):\n    return state.reward\n") if rolled_back else run.signal
    lap = Lap(
        stage=1, branch=ID, candidate=ID, signal=signal, trained=run.signal, steps=64, checkpoints=tuple(names),
        evaluation=evaluation,
    )  # fmt: skip
    run.directory.write_lap("main-s1", lap)
    made = export(run.path, tmp_path / "home", None)
    assert made.policy_seeds == (() if rolled_back else (*SEEDS, *SEEDS))
    assert ("history" in (tmp_path / "home" / "learning_signal.py").read_text()) != rolled_back
    assert "in place of" not in (tmp_path / "home" / "README.md").read_text()


def test_networks_of_another_signal_are_refused(tmp_path: Path) -> None:
    run = MadeRun(tmp_path / "run", "mpe/simple_spread", everything(3))
    file = run.path / "candidates" / f"{ID}.json"
    other = run.directory.candidate(ID).model_copy(update={"signal": everything(3, more=', "zero": 0 * seen')})
    file.write_text(other.model_dump_json())
    with pytest.raises(UserError, match=f"was trained under another signal than {ID}: restore it"):
        export(run.path, tmp_path / "home", None)
    assert not (tmp_path / "home").exists()


def test_a_config_is_printed_as_code(taken_home: Any) -> None:
    config = RewardConfig.model_validate({"terms": [{"kind": "approach", "assignment": "optimal"}]})
    _, home = taken_home("mpe/simple_spread", Signal(reward=config))
    assert "def agent_reward(state):" in (home / "learning_signal.py").read_text()
    assert not (home / "policy.py").exists()
    assert "There is no policy" in (home / "README.md").read_text()
    assert len(examples(home)) == 2


def test_what_is_refused_leaves_nothing_behind(tmp_path: Path) -> None:
    run = MadeRun(tmp_path / "run", "mpe/simple_spread", everything(3), trained=False)
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").touch()
    for directory, wanted, words in (
        (full, ID, "is not empty: choose another directory"),
        (full / "mine.txt", ID, "exists: choose another directory"),
        (tmp_path / "new", "s1r1c2", "no candidate 's1r1c2': did you mean s1r1c1?"),
        (tmp_path / "new", "../x", "it has s1r1c1"),
        (tmp_path / "new", None, "no signal to take home (for the test); `--candidate ID` takes one"),
        (Path("/proc/new"), ID, "cannot write /proc/new"),
    ):
        with pytest.raises(UserError, match=re.escape(words)):
            export(run.path, directory, wanted)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full", "run"]
    file, candidate = run.path / "candidates" / f"{ID}.json", run.directory.candidate(ID)
    bad = code("import os\n\ndef agent_reward(state):\n    return state.reward\n")
    for signal, words in (
        (NATIVE, "changes nothing"),
        (bad, "was refused, so there is nothing to take home: line 1: .*os"),
    ):
        file.write_text(candidate.model_copy(update={"signal": signal}).model_dump_json())
        with pytest.raises(UserError, match=words):
            export(run.path, tmp_path / "new", ID)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full", "run"]
    file.write_text(candidate.model_dump_json())
    (tmp_path / "empty").mkdir()
    export(run.path, tmp_path / "empty", ID)
    assert (tmp_path / "empty" / "README.md").is_file()
