"""LERO's published style: the world that a reward function sees is mpe2's, and its answers become rewards."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import torch
from mpe2 import simple_reference_v3, simple_speaker_listener_v4, simple_spread_v3
from states import check_signal, random_play

from marlsmith.marl.signals.files import read_signal
from marlsmith.marl.signals.program import Program, build_program
from marlsmith.marl.signals.view import StateView
from marlsmith.marl.signals.world import Scenario, worlds
from marlsmith.marl.tasks import make_task
from marlsmith.schemas import SignalError

REFERENCES = {
    "mpe/simple_spread": simple_spread_v3,
    "mpe/simple_reference": simple_reference_v3,
    "mpe/simple_speaker_listener": simple_speaker_listener_v4,
}
PLAIN = ("name", "size", "collide", "movable", "silent")

SPREAD = """
import numpy as np

def agent_reward(self, agent, world):
    rew = 0.0
    if agent.collide:
        for other in world.agents:
            rew -= 1.0 * (self.is_collision(other, agent) and other is not agent)
    return rew

def global_reward(self, world):
    rew = 0
    for lm in world.landmarks:
        rew -= min(np.sqrt(np.sum(np.square(a.state.p_pos - lm.state.p_pos))) for a in world.agents)
    return rew
"""
REFERENCE = """
import numpy as np

def agent_reward(self, agent, world):
    if agent.goal_a is None or agent.goal_b is None:
        return 0.0
    return -np.sqrt(np.sum(np.square(agent.goal_a.state.p_pos - agent.goal_b.state.p_pos)))

def global_reward(self, world):
    return sum(self.agent_reward(agent, world) for agent in world.agents) / len(world.agents)
"""
LISTENER = """
import numpy as np

def agent_reward(agent, world):
    speaker = world.agents[0]
    return -np.sum(np.square(speaker.goal_a.state.p_pos - speaker.goal_b.state.p_pos))

def global_reward(world):
    return agent_reward(world.agents[1], world)
"""


def program(source: str, task: str = "mpe/simple_spread") -> Program:
    return build_program(read_signal("lero.py", source), make_task(task).card)


def played(task: str, seed: int) -> tuple[Any, StateView]:
    """mpe2's environment after some random steps, and its state as one row of ours."""
    environment = REFERENCES[task].parallel_env()
    environment.reset(seed=seed)
    raw = environment.aec_env.unwrapped
    draws = np.random.default_rng(seed)
    for _ in range(5):
        environment.step({agent: int(draws.integers(raw.action_space(agent).n)) for agent in raw.possible_agents})
    world = raw.world
    goals = [-1] * len(world.agents)
    for agent in world.agents:
        if getattr(agent, "_goal_a", None) is not None:
            goals[world.agents.index(agent.goal_a)] = world.landmarks.index(agent.goal_b)
    fields = {
        "agent_pos": np.array([agent.state.p_pos for agent in world.agents]),
        "agent_vel": np.array([agent.state.p_vel for agent in world.agents]),
        "landmark_pos": np.array([landmark.state.p_pos for landmark in world.landmarks]),
        "message": np.array([agent.state.c for agent in world.agents]),
        "goal": np.array(goals),
    }
    wanted = {field.name for field in make_task(task).card.fields} | {"reward"}
    view = {name: torch.from_numpy(value)[None] for name, value in fields.items() if name in wanted}
    return raw, StateView({**view, "reward": torch.zeros(1, len(world.agents))})


@pytest.mark.parametrize("task", REFERENCES)
def test_the_world_is_mpe2s(task: str) -> None:
    for seed in range(5):
        raw, state = played(task, seed)
        (ours,), theirs = worlds(state, make_task(task).card), raw.world
        assert (ours.dim_p, ours.dim_c, ours.dt) == (theirs.dim_p, theirs.dim_c, theirs.dt)
        assert ours.policy_agents == ours.agents
        pairs = [*zip(ours.agents, theirs.agents, strict=True), *zip(ours.landmarks, theirs.landmarks, strict=True)]
        assert [mine for mine, _ in pairs] == ours.entities
        for mine, other in pairs:
            for name in PLAIN:
                assert getattr(mine, name) == getattr(other, name, False), name
            np.testing.assert_array_equal(mine.state.p_pos, other.state.p_pos)
            np.testing.assert_array_equal(mine.state.p_vel, other.state.p_vel)
        for mine, other in pairs[: len(ours.agents)]:
            np.testing.assert_array_equal(mine.state.c, other.state.c)
            if (partner := getattr(other, "_goal_a", None)) is None:
                assert mine.goal_a is None
                assert mine.goal_b is None
            else:
                assert mine.goal_a is ours.agents[theirs.agents.index(partner)]
                assert mine.goal_b is ours.landmarks[theirs.landmarks.index(other.goal_b)]
        if hasattr(raw.scenario, "is_collision"):
            first = ours.agents[0]
            for mine, other in pairs[1 : len(ours.agents)]:
                assert Scenario({}).is_collision(first, mine) == raw.scenario.is_collision(theirs.agents[0], other)


@pytest.mark.parametrize(
    ("task", "source"), zip(REFERENCES, (SPREAD, REFERENCE, LISTENER), strict=True), ids=list(REFERENCES)
)
def test_mpe2s_own_rewards_are_the_same_numbers(task: str, source: str) -> None:
    made = program(source, task)
    for seed in range(20):
        raw, state = played(task, seed)
        agents = raw.world.agents
        assert made.agent_reward is not None
        assert made.global_reward is not None
        own, team = made.agent_reward(state), made.global_reward(state)
        expected = torch.tensor([[float(raw.scenario.reward(agent, raw.world)) for agent in agents]])
        torch.testing.assert_close(own, expected, rtol=1e-6, atol=0)
        together = task != "mpe/simple_speaker_listener"
        common = raw.scenario.global_reward(raw.world) if together else expected[0, 0]
        torch.testing.assert_close(team, torch.tensor([float(common)]), rtol=1e-6, atol=0)


@pytest.mark.parametrize("task", REFERENCES)
def test_every_row_is_a_world_of_its_own(task: str) -> None:
    made = make_task(task)
    state = random_play(made)
    source = dict(zip(REFERENCES, (SPREAD, REFERENCE, LISTENER), strict=True))[task]
    signal = program(source, task)
    rows, agents = state.reward.shape
    whole, terms = signal.reward(state, rows, agents)
    assert whole.dtype == torch.float32
    assert {name: list(term.shape) for name, term in terms.items()} == {
        "agent_reward": [rows, agents], "global_reward": [rows],
    }  # fmt: skip
    some = torch.tensor([200, 3, 77])
    assert torch.equal(signal.reward(state.rows(some), 3, agents)[0], whole[some])


def test_the_styles_can_be_mixed() -> None:
    source = (
        "def agent_reward(state):\n    return -state.agent_pos.norm(dim=-1)\n" + SPREAD[SPREAD.index("def global") :]
    )
    source = "import numpy as np\n" + source + "def stateEnhance(self, obs):\n    return obs[..., 4:10]\n"
    task = make_task("mpe/simple_spread")
    made = check_signal(read_signal("mixed.py", source), task, "own")
    assert made.scalar
    assert made.features(torch.ones(2, 3, 18), None).shape == (2, 3, 6)
    assert not program("def agent_reward(state):\n    return state.reward\n").scalar


def test_nothing_can_be_changed_for_others() -> None:
    source = """
def agent_reward(self, agent, world):
    here = agent.state.p_pos
    before = float(here[0])
    here += 100.0
    agents = world.agents
    agents.append(agent)
    agents.remove(agents[0])
    return before + float(agent.state.p_pos[0] - before) + (len(world.agents) - 3)
"""
    state = random_play(make_task("mpe/simple_spread"))
    kept = state.clone()
    made = program(source)
    for _ in range(2):
        reward, _ = made.reward(state, *state.reward.shape)
        torch.testing.assert_close(reward, kept.agent_pos[..., 0], rtol=0, atol=1e-6)
    assert torch.equal(state.agent_pos, kept.agent_pos)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("None", "NoneType for an agent and its world"),
        ("[1.0]", "list"),
        ("{'a': 1.0}", "dict"),
        ("'1.0'", "str"),
        ("agent.state.p_pos", r"ndarray of shape \[2\]"),
        ("torch.zeros(3)", r"Tensor of shape \[3\]"),
    ],
)
def test_what_is_no_number_is_refused(answer: str, said: str) -> None:
    made = program(f"import torch\ndef agent_reward(agent, world):\n    return {answer}\n")
    state = random_play(make_task("mpe/simple_spread"))
    with pytest.raises(SignalError, match=f"agent_reward returned {said}.*return one number") as caught:
        made.reward(state, *state.reward.shape)
    assert caught.value.stage == "dynamic"


@pytest.mark.parametrize(
    "answer", ["1", "True", "1.0", "np.float32(1)", "np.array(1.0)", "torch.ones(3).mean()", "np.sum(np.ones(1))"]
)
def test_every_kind_of_number_is_one(answer: str) -> None:
    made = program(f"import torch\nimport numpy as np\ndef global_reward(world):\n    return {answer}\n")
    state = random_play(make_task("mpe/simple_spread"))
    assert torch.equal(made.reward(state, *state.reward.shape)[0], torch.ones_like(state.reward))


@pytest.mark.parametrize("task", ["lbf/8x8-2p-2f-coop", "lbf/10x10-3p-3f"])
def test_a_task_without_world_objects_says_which_form_to_write(task: str) -> None:
    with pytest.raises(SignalError, match=r"has no world objects.*agent_reward\(state\)"):
        program(SPREAD, task)


@pytest.mark.parametrize("task", ["mpe/simple_spread?agents=5", "mpe/simple_spread_sparse"])
def test_parameters_and_sparse_rewards_change_no_world(task: str) -> None:
    check_signal(read_signal("lero.py", SPREAD), make_task(task), "own")


def test_a_thousand_rows_take_less_than_a_second() -> None:
    state = random_play(make_task("mpe/simple_spread"))
    made, rows = program(SPREAD), state.reward.shape[0]
    best = min(_seconds(made, state) for _ in range(3))
    assert best / rows * 1000 < 1.0, f"{best / rows * 1e6:.0f} ms for 1,000 rows"


def _seconds(made: Program, state: StateView) -> float:
    started = time.process_time()
    made.reward(state, *state.reward.shape)
    return time.process_time() - started
