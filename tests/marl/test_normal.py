"""Two spellings of one signal have one form, and no two signals that differ in what they do."""

from __future__ import annotations

from typing import Any

import pytest

from marlsmith.marl.signals.normal import normal_form
from marlsmith.schemas import (
    Approach,
    Code,
    Collision,
    Fade,
    ObservationConfig,
    Reach,
    RewardConfig,
    Signal,
    Speed,
    TargetOffset,
    TeamSuccess,
)

REWARD = """
import torch
ALPHA = 1
SCALE = 2

def gap(state, power):
    return torch.cdist(state.agent_pos, state.landmark_pos) ** power

def agent_reward(state):
    total = 0
    for agent in range(3):
        total = total + gap(state, SCALE).amin(-1)
    near = [d for d in range(3)]
    return {"near": -total}
"""


def swapped(*pairs: tuple[str, str]) -> str:
    text = REWARD
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return text


SAME = {
    "comments and layout": swapped(("total = 0", "total    =  0   # nothing yet\n")),
    "a docstring": swapped(("state):\n", 'state):\n    """What it pays."""\n')),
    "a docstring of the module": f'"""About it."""\n{REWARD}',
    "names of variables": swapped(("total", "t"), ("near =", "q ="), ("[d for d", "[k for k")),
    "names of arguments": swapped(
        ("gap(state, power)", "gap(s, p)"),
        ("state.agent_pos, state.landmark_pos) ** power", "s.agent_pos, s.landmark_pos) ** p"),
    ),
    "names of helpers": swapped(("gap", "distance")),
    "names of constants": swapped(("SCALE", "POWER")),
    "floats for whole numbers": swapped(("SCALE = 2", "SCALE = 2.0"), ("ALPHA = 1", "ALPHA = 1.0")),
    "another name for torch": swapped(("import torch", "import torch as th"), ("torch.cdist", "th.cdist")),
    "what is imported": swapped(("torch.cdist", "cdist"), ("import torch", "from torch import cdist")),
    "annotations": swapped(("agent_reward(state)", "agent_reward(state: object) -> dict")),
    "the order of functions": swapped(("SCALE = 2\n", "")) + "\nSCALE = 2\n",
    "what nothing uses": f"{REWARD}\n\ndef spare(x):\n    return x\n\nSPARE = 3\n",
}

DIFFERENT = {
    "a number": swapped(("SCALE = 2", "SCALE = 3")),
    "a sign": swapped(("-total", "total")),
    "another function": swapped(("amin", "amax")),
    "alpha": swapped(("ALPHA = 1", "ALPHA = 0.5")),
    "another field": swapped(("agent_pos", "agent_vel")),
    "the name of a term": swapped(('"near"', '"close"')),
    "who is who": swapped(("gap(state, power)", "gap(power, state)")),
    "another module": swapped(("import torch", "import numpy as torch")),
}


def form(source: str) -> str:
    return normal_form(Signal(reward=Code(source=source)))


@pytest.mark.parametrize("name", SAME)
def test_spelling_does_not_matter(name: str) -> None:
    assert form(SAME[name]) == form(REWARD)


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_is_computed_does(name: str) -> None:
    assert form(DIFFERENT[name]) != form(REWARD)


def test_arguments_that_are_named_in_calls_keep_their_names() -> None:
    """Renamed by place, these two would look alike: one pays the difference, the other its opposite."""
    one = "def by(a, b):\n    return a - b\ndef agent_reward(state):\n    return by(a=state.time, b=1)\n"
    assert form(one) != form(one.replace("by(a, b)", "by(b, a)").replace("a - b", "b - a"))


def test_a_name_that_is_local_in_one_place_and_the_modules_in_another_is_not_confused() -> None:
    one = "c = 1\nd = 2\ndef agent_reward(state):\n    return state.reward * (lambda c: c)(3) * c\n"
    assert form(one) != form(one.replace("lambda c: c", "lambda d: d").replace("* c", "* d"))


@pytest.mark.parametrize("line", ["table.append(3)", "for i in range(3):\n    table.append(i)", "table = [1]"])
def test_modules_that_do_more_than_define_are_compared_as_they_are(line: str) -> None:
    source = "table = []\n{}\ndef agent_reward(state):\n    return state.reward + sum(table)\n"
    assert form(source.format(line)) != form(source.format(line.replace("3", "4").replace("[1]", "[2]")))
    assert form(source.format(line)) == form(source.format(line))


def test_only_the_part_that_is_used_of_a_module_counts() -> None:
    both = f"{REWARD}\n\ndef enhance_observation(obs):\n    return obs[..., :2]\n"
    assert form(both) == form(REWARD)
    code = Code(source=both)
    assert normal_form(Signal(reward=code, observation=code)) != normal_form(Signal(reward=code))


def test_code_that_does_not_parse_has_a_form_of_its_own() -> None:
    assert form("def agent_reward(state:") == form("def agent_reward(state:")
    assert form("def agent_reward(state:") != form("def agent_reward(s:")


def config(*terms: Any, alpha: float = 0.5) -> str:
    return normal_form(Signal(reward=RewardConfig(terms=terms, alpha=alpha)))


NEAR, HIT, TEAM = Approach(weight=2), Reach(), TeamSuccess()


def test_a_configurations_terms_have_no_order_and_those_of_no_weight_do_not_count() -> None:
    assert config(NEAR, HIT) == config(HIT, NEAR)
    assert config(NEAR, HIT) == config(NEAR, HIT, Collision(weight=0))
    assert config(NEAR, HIT) == config(Approach(weight=2.0), HIT)
    assert config(NEAR, HIT) == config(NEAR, HIT, alpha=0.9)  # where nothing is the team's, alpha is ignored
    assert config(NEAR, TEAM) != config(NEAR, TEAM, alpha=0.9)
    assert config(NEAR, HIT) != config(NEAR, Reach(threshold=0.2))
    assert config(NEAR) != config(Approach(weight=2, fade=Fade()))


def test_a_team_part_of_no_weight_still_halves_the_agents_own() -> None:
    assert config(NEAR, TeamSuccess(weight=0)) != config(NEAR)


def test_features_have_no_order() -> None:
    one, other = (
        normal_form(Signal(observation=ObservationConfig(features=features)))
        for features in ((Speed(), TargetOffset()), (TargetOffset(), Speed()))
    )
    assert one == other
    assert one != normal_form(Signal(observation=ObservationConfig(features=(Speed(),))))
