"""Scope own is watched on every row that training and evaluation meet, and the watch changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from states import check_program, samples_of
from torch import Tensor

from marlsmith.marl import observing
from marlsmith.marl.config import TrainConfig
from marlsmith.marl.evaluation import RandomPolicy, play
from marlsmith.marl.observing import WATCHED_ROWS, Observer, Seen, Watch
from marlsmith.marl.seeding import generator
from marlsmith.marl.signals.program import Program, build_program
from marlsmith.marl.tasks import make_task
from marlsmith.marl.trainer import Trainer
from marlsmith.schemas import (
    AgentDistances,
    Code,
    ObservationConfig,
    Signal,
    SignalError,
    TargetClaims,
    TargetIndex,
    TargetOffset,
)

TASK = make_task("mpe/simple_spread")
PLAIN = build_program(
    Signal(observation=Code(source="def enhance_observation(obs):\n    return obs[..., :2]\n")), TASK.card
)
SEEDS = (1, 2, 3, 4)


def observer_of(function: Callable[..., Any], *, history: bool = False) -> Program:
    return replace(PLAIN, enhance=function, wants_history=history)


def training(program: Program | None, steps: int = 2_000, **changes: Any) -> Trainer:
    config = {"algorithm": "ippo", "steps": steps, "epochs": 1, "minibatches": 1, **changes}
    return Trainer(TASK, program, TrainConfig.model_validate(config), SEEDS)


def trained(trainer: Trainer) -> Trainer:
    while not trainer.finished:
        trainer.advance()
    return trainer


# ---------------------------------------------------------------- leaks


def rarely(obs: Tensor) -> Tensor:
    """The other agent's velocity, but only where two agents are as near to each other as they seldom are."""
    near = (obs[..., 10:12].norm(dim=-1, keepdim=True) - 0.4).abs() < 1e-5
    return torch.where(near, obs.roll(-1, 1)[..., :2], obs[..., :2])


def test_a_leak_that_the_check_never_meets_is_caught_in_training() -> None:
    program = observer_of(rarely)
    check_program(program, TASK, "own", samples_of("mpe/simple_spread"))
    with pytest.raises(
        SignalError, match=r"for agent \d, seen after [1-9]\d* steps of training, but SCOPE is"
    ) as error:
        trained(training(program, 60_000))
    assert error.value.stage == "dynamic"


def at_this_size(rows: int) -> Callable[[Tensor], Tensor]:
    def enhance(obs: Tensor) -> Tensor:
        return obs.roll(1, 1)[..., :2] if len(obs) == rows else obs[..., :2]

    return enhance


def rarely_at_this_size(obs: Tensor) -> Tensor:
    near = (obs[..., 10:12].norm(dim=-1, keepdim=True) < 0.5) & torch.tensor(len(obs) == 64)
    return torch.where(near, obs.roll(-1, 1)[..., :2], obs[..., :2])


def wherever_it_stands(obs: Tensor) -> Tensor:
    """Finds the first other agent's row in the whole batch, by the place where it is seen, and reads it there."""
    place = obs[..., 2:4] + obs[..., 10:12]
    rows = obs.flatten(0, 1)
    found = torch.cdist(place.flatten(0, 1), rows[:, 2:4], compute_mode="donot_use_mm_for_euclid_dist").argmin(-1)
    return rows[found][:, :2].unflatten(0, obs.shape[:2])


LEAKS: dict[str, Callable[[Tensor], Tensor]] = {
    "far below any tolerance": lambda obs: obs[..., :2] + 1e-6 * obs[..., :2].sum(1, keepdim=True),
    "of one agent alone": lambda obs: torch.cat((obs[:, :2, :1], obs[:, :1, :1]), 1),
    "what stays the same for an episode": lambda obs: (obs[..., 4:6] + obs[..., 2:4]).roll(1, 1) * 1e-3 + obs[..., 6:8],
    "at the size of a step": at_this_size(64),
    "at the size of a step, sometimes": rarely_at_this_size,
    "from anywhere in the batch": wherever_it_stands,
}


@pytest.mark.parametrize("case", LEAKS)
def test_leaks_are_caught_in_training(case: str) -> None:
    with pytest.raises(SignalError, match="reads other agents' observations"):
        trained(training(observer_of(LEAKS[case])))


def test_a_leak_through_the_history_is_caught() -> None:
    leak = observer_of(lambda obs, past: past[:, 1].roll(1, 1)[..., :2], history=True)
    with pytest.raises(SignalError, match="reads other agents' observations"):
        trained(training(leak))


def test_a_leak_in_evaluation_alone_is_caught() -> None:
    """Evaluation has other batch sizes, and other states."""
    trainer = trained(training(observer_of(at_this_size(4 * 10))))
    with pytest.raises(SignalError, match="seen in evaluation"):
        trainer.evaluate(10, 5)


def test_one_environment_is_enough_to_be_caught() -> None:
    policy = RandomPolicy(TASK.card, generator(0, "policy"))
    draws = [generator(0, "resets")]
    play(TASK, policy, Observer(PLAIN), draws, 1)
    with pytest.raises(SignalError, match="seen in evaluation"):
        play(TASK, policy, Observer(observer_of(lambda obs: obs.roll(1, 1)[..., :2])), draws, 1)


def test_team_scope_may_read_other_agents_and_no_other_environment() -> None:
    program = replace(observer_of(lambda obs: obs.roll(1, 1)), scope="team")
    assert trained(training(program, 1_200)).steps == 1_200
    for leak in (lambda obs: obs.roll(1, 0), lambda obs: obs[..., 2:4] + 1e-3 * obs[..., 2:4].amax(0, keepdim=True)):
        for scope in ("own", "team"):
            with pytest.raises(SignalError, match="depends on the other states of the batch, seen after"):
                trained(training(replace(observer_of(leak), scope=scope)))


def test_a_leak_between_environments_through_the_history_is_caught() -> None:
    leak = replace(observer_of(lambda obs, past: past[:, 1].roll(1, 0)[..., :2], history=True), scope="team")
    with pytest.raises(SignalError, match="depends on the other states of the batch"):
        trained(training(leak))


def test_a_leak_below_the_tolerance_of_other_sizes_is_caught() -> None:
    """At 900 a relative tolerance hides it; at the size of the call there is no tolerance to hide in."""

    def little(obs: Tensor) -> Tensor:
        value = torch.full_like(obs[..., 2:4], 900.0)
        return value + (0.008 * torch.tanh(obs[..., 2:4].roll(1, 1)) if len(obs) < 300 else 0.0)

    with pytest.raises(SignalError, match="reads other agents' observations for agent"):
        trained(training(observer_of(little)))


# ---------------------------------------------------------------- honest signals

HISTORY = (
    "def enhance_observation(obs, history):\n"
    "    return (obs[..., 2:4] - history[:, 0, :, 2:4]).norm(dim=-1, keepdim=True)\n"
)
README = (
    "import torch\ndef enhance_observation(obs):\n    offsets = obs[..., 4:10].unflatten(-1, (3, 2))\n"
    "    return offsets[:, torch.arange(3), torch.arange(3)]\n"
)
NETWORK = (
    "import torch\nW = torch.linspace(-1, 1, 18 * 32).sin().view(18, 32)\n"
    "def enhance_observation(obs):\n    return torch.tanh(obs @ W).softmax(-1)\n"
)
MASKED = (
    "import torch\ndef enhance_observation(obs):\n    near = obs[..., 10:12].norm(dim=-1) < 0.7\n"
    "    value = torch.zeros_like(obs[..., 0])\n"
    "    value[near] = torch.exp(-obs[near][:, 4:6].square().sum(-1) * 3.3)\n    return value.unsqueeze(-1)\n"
)
HONEST = {
    "config": Signal(
        observation=ObservationConfig(
            features=(
                TargetOffset(assignment="optimal"), TargetIndex(assignment="nearest"), TargetClaims(), AgentDistances(),
            )
        )
    ),
    "history": Signal(observation=Code(source=HISTORY)),
    "readme": Signal(observation=Code(source=README)),
    "network": Signal(observation=Code(source=NETWORK)),
    "masked": Signal(observation=Code(source=MASKED)),
}  # fmt: skip


@pytest.mark.parametrize("case", HONEST)
def test_honest_signals_are_left_alone(case: str) -> None:
    """25,600 rows with those of evaluation; a false alarm would cost an honest candidate its training."""
    trainer = trained(training(build_program(HONEST[case], TASK.card), 4_000))
    trainer.evaluate(50, 3)
    assert trainer.steps == 4_000


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mpe/simple_spread", "mpe/simple_speaker_listener", "lbf/8x8-2p-2f-coop"])
@pytest.mark.parametrize("algorithm", ["mappo", "vdn"])
def test_honest_signals_are_left_alone_for_long(name: str, algorithm: str) -> None:
    task = make_task(name)
    for source in (
        HISTORY,
        "import torch\ndef enhance_observation(obs):\n    return torch.tanh(obs * 1.7).cumsum(-1)\n",
    ):
        program = build_program(Signal(observation=Code(source=source)), task.card)
        trainer = Trainer(task, program, TrainConfig(algorithm=algorithm, steps=20_000), SEEDS)
        trained(trainer).evaluate(50, 3)
        assert trainer.steps >= 20_000


# ---------------------------------------------------------------- the watch itself


@pytest.mark.parametrize("case", ["config", "history"])
def test_a_training_is_the_same_bits_with_and_without(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = build_program(HONEST[case], TASK.card)
    state = torch.random.get_rng_state()
    watched = trained(training(program, 1_600))
    assert torch.equal(state, torch.random.get_rng_state())
    looked: list[int] = []
    monkeypatch.setattr(Watch, "add", lambda self, seen: looked.append(len(seen.obs)))
    plain = trained(training(program, 1_600))
    assert len(looked) > 100
    there = dict(plain.tensors())
    for name, value in watched.tensors():
        assert torch.equal(value, there[name]), name


def test_every_row_is_tried_and_few_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch(PLAIN)
    tried: list[int] = []
    features = Watch._features

    def counted(self: Watch, obs: Tensor, history: Tensor | None) -> Tensor:
        tried.append(len(obs))
        return features(self, obs, history)

    monkeypatch.setattr(Watch, "_features", counted)
    monkeypatch.setattr(observing, "ALONE_EVERY", 10_000)
    for _ in range(100):
        obs = torch.rand(100, 3, 18)
        watch.add(Seen(obs, None, obs[..., :2]))
        assert watch._rows <= WATCHED_ROWS
    assert watch.leak() is None
    assert [size for size in tried if size != 100] == [4_000, 4_000, 4_000, 2_000]  # first one agent's rows alone
    assert tried.count(100) == 3  # and of each look one call as it was
    assert watch._seen == []


def test_a_shift_keeps_each_agents_rows_and_is_undone() -> None:
    x = torch.arange(5 * 3 * 2).view(5, 3, 2)
    moved = observing.shifted(x, 1, 1)
    assert torch.equal(moved[:, 0], x[:, 0])
    assert torch.equal(moved[1:, 1], x[:-1, 1])
    assert torch.equal(moved[2:, 2], x[:-2, 2])
    assert torch.equal(observing.shifted(moved, 1, -1), x)


def test_infinite_features_are_refused_as_such() -> None:
    with pytest.raises(SignalError, match="NaN or infinity within"):
        trained(training(observer_of(lambda obs: 1 / obs[..., 14:16])))
