"""Training learns, repeats itself exactly, and goes on bit for bit from a checkpoint."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import toys
from toys import KINDS, SIGNALS, Kind, advanced
from toys import trained as trained_toy
from toys import trainer as toy

from marlsmith.marl.checkpoint import pack, unpack
from marlsmith.marl.config import TrainConfig
from marlsmith.marl.signals.program import build_program
from marlsmith.marl.tasks import make_task
from marlsmith.marl.trainer import Trainer
from marlsmith.schemas import (
    NATIVE,
    Approach,
    Code,
    ObservationConfig,
    Reach,
    RewardConfig,
    Signal,
    SignalError,
    TargetOffset,
    UserError,
)

TASK = make_task("mpe/simple_spread")
GOOD = Signal(
    reward=RewardConfig(terms=(Approach(assignment="optimal"), Reach(assignment="optimal"))),
    observation=ObservationConfig(features=(TargetOffset(assignment="optimal"),)),
)
SHORT = TrainConfig(steps=1000, environments=8, epochs=2)
WITH_HISTORY = Signal(
    observation=Code(source="def enhance_observation(obs, history):\n    return history[:, -1] - history[:, -2]\n")
)


def trainer(signal: Signal = NATIVE, config: TrainConfig = SHORT, seeds: tuple[int, ...] = (1, 2)) -> Trainer:
    return Trainer(TASK, None if signal.is_native else build_program(signal, TASK.card), config, seeds)


def trained(signal: Signal, steps: int, config: TrainConfig = SHORT, seeds: tuple[int, ...] = (1, 2)) -> Trainer:
    made = trainer(signal, config, seeds)
    while made.steps < steps:
        made.advance()
    return made


def bits(made: Trainer) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in made.tensors()}


def assert_equal_bits(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys()
    for name, tensor in a.items():
        assert torch.equal(tensor, b[name]), name


@pytest.mark.parametrize("signal", [NATIVE, GOOD], ids=["native", "good"])
def test_same_seed_same_numbers(signal: Signal) -> None:
    assert_equal_bits(bits(trained(signal, 600)), bits(trained(signal, 600)))


def test_another_seed_other_numbers() -> None:
    one, other = bits(trained(NATIVE, 200, seeds=(1,))), bits(trained(NATIVE, 200, seeds=(2,)))
    assert not torch.equal(one["actor.0.weight"], other["actor.0.weight"])


def test_candidates_meet_the_same_states_and_noise() -> None:
    """Common random numbers: what differs between two candidates is what they do, not their luck."""
    native, good = trainer(NATIVE), trainer(GOOD)
    for name, value in native.environments.state.items():
        assert torch.equal(value, good.environments.state[name])
    native.advance(), good.advance()
    for name in ("resets", "actions"):
        for one, other in zip(native.streams[name], good.streams[name], strict=True):
            assert torch.equal(one.get_state(), other.get_state())


# ---------------------------------------------------------------- checkpoints


@pytest.fixture(scope="module")
def resumed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints of every kind of training after three rollouts, and what one fresh process made of each."""
    directory = tmp_path_factory.mktemp("resumed")
    for kind in KINDS:
        for signal in ("native", "history"):
            made = trained_toy(kind, None if signal == "native" else signal)
            (directory / f"{kind}.{signal}.half").write_bytes(pack(made.tensors(), {}))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, toys.__file__, str(directory)], check=True, env=environment, timeout=240)
    return directory


@pytest.mark.parametrize("signal", ["native", "history"])
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_fresh_process_goes_on_bit_for_bit(kind: Kind, signal: str, resumed: Path) -> None:
    """Three rollouts and two more equal five: networks, optimiser, replay, normaliser, generators, episodes."""
    whole = toys.bits(advanced(toy(kind, SIGNALS.get(signal)), 5))
    assert int(whole["steps"]) == 5 * 28
    assert_equal_bits(whole, unpack((resumed / f"{kind}.{signal}.whole").read_bytes())[0])


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_forks_are_equal_for_the_same_seed_and_differ_for_another(kind: Kind) -> None:
    """From one checkpoint; without a fork it goes on as it would have."""
    futures = []
    for seed in (5, 5, 6, None):
        made = trained_toy(kind)
        before = learned(made)
        if seed is not None:
            made.fork(seed)
        assert_equal_bits(before, learned(made))
        futures.append(toys.bits(advanced(made, 2)))
    assert_equal_bits(futures[0], futures[1])
    for other in futures[2:]:
        for name, tensor in futures[0].items():
            if name.startswith(("actor.", "agent.", "environments.state.", "generator.")):
                members = (torch.equal(tensor[p], other[name][p]) for p in range(2))
                assert not torch.equal(tensor, other[name]), name
                assert name.startswith("generator.") or not any(members), name


def learned(made: Trainer) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in made.algorithm.tensors()}


def test_forks_of_two_candidates_meet_the_same_luck() -> None:
    """A branch and its control go on from one checkpoint: the same fork seed means the same states and noise."""
    forks = []
    for signal in (None, SIGNALS["columns"]):
        made = trained_toy(KINDS[0])
        made.switch(signal)
        made.fork(5)
        forks.append(made)
    for name, generators in forks[0].streams.items():
        for one, other in zip(generators, forks[1].streams[name], strict=True):
            assert torch.equal(one.get_state(), other.get_state()), name


def test_a_checkpoint_may_be_taken_in_the_middle_of_an_episode() -> None:
    config = SHORT.model_copy(update={"rollout": 10})
    whole, half = trained(GOOD, 480, config), trained(GOOD, 240, config)
    rest = trainer(GOOD, config)
    rest.load(unpack(pack(half.tensors(), {}))[0])
    while rest.steps < 480:
        rest.advance()
    assert_equal_bits(bits(whole), bits(rest))


def test_a_damaged_checkpoint_is_said_to_be_one() -> None:
    data = pack(trainer().tensors(), {})
    for damaged in (data[:100], b"", b"\xff" * 64, data[:-10]):
        with pytest.raises(UserError, match="damaged"):
            unpack(damaged)


def test_the_same_training_is_the_same_bytes() -> None:
    """Also where the library that writes them knows no order of entries."""
    tensors, about = list(trainer().tensors()), {"task": "t", "members": [1, 2]}
    assert len({pack(tensors, about) for _ in range(20)}) == 1


@pytest.mark.slow
def test_a_good_signal_teaches_what_the_native_reward_does_not() -> None:
    """The whole loop on real training: LERO's 30,000 steps, two seeds."""
    config = TrainConfig()
    scores = {}
    for name, signal in (("native", NATIVE), ("good", GOOD)):
        episodes = trained(signal, 30_000, config).evaluate(50, seed=5)
        scores[name] = TASK.metrics(episodes)["coverage"].mean(-1)
    assert (scores["native"] < 0.35).all(), scores
    assert (scores["good"] > 0.85).all(), scores


def test_term_statistics_cover_the_named_terms() -> None:
    made = trained(GOOD, 1000)
    terms = made.term_statistics()
    assert set(terms) == {"approach_optimal", "reach_optimal_0_1"}
    assert sum(term.share for term in terms.values()) == pytest.approx(1.0)
    assert terms["approach_optimal"].mean < 0 <= terms["reach_optimal_0_1"].mean


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def global_reward(state):\n    return torch.log(0.4 - state.training_progress)", "reward became NaN"),
        (
            "def enhance_observation(obs):\n    return torch.sqrt(1.2 - obs[..., 2:3].abs())",
            "enhance_observation returned NaN",
        ),
    ],
)
def test_nan_in_the_middle_of_training_is_the_candidates_fault(source: str, message: str) -> None:
    code = Code(source=f"import torch\n{source}\n")
    signal = Signal(reward=code) if "reward" in source else Signal(observation=code)
    with pytest.raises(SignalError, match=message):
        trained(signal, 1000)


def test_evaluation_is_the_same_for_every_candidate_and_never_touches_training() -> None:
    """Each seed has its own episodes, so that luck with episodes shows in the interval over seeds."""
    made = trained(GOOD, 400)
    before = bits(made)
    episodes = made.evaluate(20, seed=3)
    assert torch.equal(episodes.reward, made.evaluate(20, seed=3).reward)
    other = trainer(NATIVE).evaluate(20, seed=3)
    assert torch.equal(episodes.state["agent_pos"][0], other.state["agent_pos"][0])
    assert not torch.equal(episodes.state["agent_pos"][0, 0], episodes.state["agent_pos"][0, 1])
    alone = trainer(NATIVE, seeds=(2,)).evaluate(20, seed=3)
    assert torch.equal(alone.state["agent_pos"][0, 0], episodes.state["agent_pos"][0, 1])
    assert_equal_bits(before, bits(made))


@pytest.mark.parametrize(
    "other",
    [
        {"seeds": (1, 2, 3)},
        {"seeds": (1,)},
        {"config": SHORT.model_copy(update={"environments": 16})},
        {"config": SHORT.model_copy(update={"hidden": 32})},
        {"signal": GOOD},
    ],
    ids=["more seeds", "fewer seeds", "environments", "hidden", "signal"],
)
def test_a_checkpoint_of_another_training_is_refused_whole(other: dict[str, Any]) -> None:
    saved = unpack(pack(trained(NATIVE, 400).tensors(), {}))[0]
    made = trainer(**other)
    before = bits(made)
    with pytest.raises(UserError, match="belongs to another training"):
        made.load(saved)
    assert_equal_bits(before, bits(made))


def test_term_statistics_survive_a_checkpoint() -> None:
    whole, half = trained(GOOD, 1200), trained(GOOD, 1000)
    rest = trainer(GOOD)
    rest.load(unpack(pack(half.tensors(), {}))[0])
    while rest.steps < 1200:
        rest.advance()
    assert rest.term_statistics() == whole.term_statistics()


def test_a_network_that_diverged_has_no_score() -> None:
    made = trained(NATIVE, 200)
    made.require_health()
    with torch.no_grad():
        dict(made.algorithm.tensors())["actor.0.weight"][0, 0, 0, 0] = float("nan")
    with pytest.raises(SignalError, match="networks became NaN"):
        made.require_health()


def test_candidate_code_cannot_write_into_what_the_policy_sees() -> None:
    """It is quick enough to pass for a copy: in place for small batches only, so that the checks see nothing."""
    source = (
        "def enhance_observation(obs):\n    seen = obs[..., :1] * 2\n"
        "    if obs.shape[0] < 100:\n        obs[...] = 0.0\n    return seen\n"
    )
    made = trainer(Signal(observation=Code(source=source)))
    assert torch.equal(made.observation[..., :18], made.environments.observation)
    assert float(made.environments.observation.abs().max()) > 0
    remembering = source.replace("(obs)", "(obs, history)").replace("obs[...] = 0.0", "history[...] = 7.0")
    made = trainer(Signal(observation=Code(source=remembering)))
    assert made.observer.history is not None
    assert torch.equal(made.observer.history[:, :, -1], made.environments.observation)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.sharing == "shared"], ids=str)
def test_a_member_trains_beside_others_as_it_trains_alone(kind: Kind) -> None:
    """Episodes end at different times: whose has ended draws a new one, and nobody else."""
    alone, beside = (advanced(toy(kind, seeds=seeds), 4) for seeds in ((2,), (1, 2)))
    together = dict(beside.algorithm.tensors())
    ended = alone.environments.clock
    assert bool((ended != ended[0, 0]).any()), "the toy's episodes must end at different times"
    assert torch.equal(ended[0], beside.environments.clock[1])
    for name, tensor in alone.algorithm.tensors():
        if name.startswith(("actor", "value.0", "value.e", "agent")):
            torch.testing.assert_close(
                together[name][1:], tensor, rtol=1e-3, atol=1e-4, msg=lambda m, n=name: f"{n}: {m}"
            )
    for name, generators in alone.streams.items():
        assert torch.equal(generators[0].get_state(), beside.streams[name][1].get_state()), name
