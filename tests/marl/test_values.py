"""What a signal comes to on stored states, and its fingerprint: equal for twins, and for nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from states import samples_of

from marlsmith.marl.checking.samples import RANDOM, SOLVED, TRAINED, Samples
from marlsmith.marl.checking.values import signal_values
from marlsmith.marl.local import LocalExecutor
from marlsmith.marl.signals.writer import to_code
from marlsmith.marl.tasks import make_task
from marlsmith.schemas import (
    Approach,
    Code,
    Failure,
    Fingerprint,
    Native,
    ObservationConfig,
    Reach,
    RewardConfig,
    Signal,
    SignalError,
    SignalValues,
    Speed,
    TargetOffset,
    TeamSuccess,
)

NAME = "mpe/simple_spread"
TASK = make_task(NAME)


@pytest.fixture(scope="module")
def samples() -> Samples:
    return samples_of(NAME)


@pytest.fixture(scope="module")
def executor() -> Iterator[LocalExecutor]:
    made = LocalExecutor(1)
    yield made
    made.close()


def rewarding(*terms: Any) -> Signal:
    return Signal(reward=RewardConfig(terms=terms))


def paying(text: str) -> Signal:
    return Signal(reward=Code(source=f"import torch\ndef agent_reward(state):\n    return {text}\n"))


def test_terms_are_told_with_what_they_do(samples: Samples) -> None:
    told = signal_values(rewarding(Reach(threshold=0.1), TeamSuccess(), Native()), TASK, samples)
    assert told.rows == samples.rows
    hit, native, team = told.terms.values()
    state = samples.state
    near = (torch.cdist(state.agent_pos, state.landmark_pos).amin(-1) <= 0.1).double()
    assert hit.mean == pytest.approx(float(near.mean()), abs=1e-3)
    assert (hit.least, hit.most, hit.share) == (0, 1, hit.mean)
    assert hit.spread == pytest.approx(math.sqrt(hit.mean * (1 - hit.mean)), rel=1e-4)
    random, trained, solved = hit.means.values()
    assert random < trained < solved == 1
    assert random == pytest.approx(float(near[samples.origin == RANDOM].mean()), abs=1e-3)
    assert solved == float(near[samples.origin == SOLVED].mean())
    assert trained == pytest.approx(float(near[samples.origin == TRAINED].mean()), abs=1e-3)
    assert native.native == pytest.approx(1)
    assert native.mean == pytest.approx(float(state.reward.mean()), rel=1e-5)
    assert team.native is not None
    assert 0 < team.native < 1
    assert told.reward is not None
    assert told.features == ()
    assert told.fingerprint.features == ()


def test_features_are_told_by_column(samples: Samples) -> None:
    features = ObservationConfig(features=(TargetOffset(), Speed()))
    told = signal_values(Signal(observation=features), TASK, samples)
    assert (told.terms, told.reward, told.fingerprint.reward) == ({}, None, ())
    assert len(told.features) == told.fingerprint.columns == 3
    speed = samples.state.obs[..., :2].norm(dim=-1)
    assert told.features[2].mean == pytest.approx(float(speed.mean()), rel=1e-5)
    assert told.features[2].least >= 0


def fingerprint(signal: Signal, samples: Samples) -> Fingerprint:
    return signal_values(signal, TASK, samples).fingerprint


def relative(one: Fingerprint, other: Fingerprint) -> float:
    """The greatest difference of their reward's sums, by the largest of them."""
    largest = max(map(abs, (*one.reward, *other.reward)))
    return max(abs(a - b) for a, b in zip(one.reward, other.reward, strict=True)) / largest


def test_a_configuration_and_its_print_have_one_fingerprint(samples: Samples) -> None:
    signal = Signal(
        reward=RewardConfig(terms=(Approach(assignment="optimal"), TeamSuccess()), alpha=0.3),
        observation=ObservationConfig(features=(TargetOffset(),)),
    )
    code = Code(source=to_code(signal, TASK.card))
    assert fingerprint(signal, samples) == fingerprint(Signal(reward=code, observation=code), samples)


def test_what_is_the_same_in_other_operations_differs_by_rounding_only(samples: Samples) -> None:
    one = fingerprint(paying("-(state.agent_pos ** 2).sum(-1) * 3 + state.time[:, None]"), samples)
    other = fingerprint(
        paying("state.time[:, None] - 3 * torch.einsum('bnd,bnd->bn', *[state.agent_pos] * 2)"), samples
    )
    assert 0 <= relative(one, other) < 1e-6


@pytest.mark.parametrize(
    "other",
    [
        "state.reward * 1.001",
        "state.reward + 0.001",
        "state.reward * (1 - 0.01 * state.training_progress[:, None])",
        "state.reward + 0.01 * (torch.arange(len(state.time)) == 700).float()[:, None]",  # in one state of 1600
    ],
)
def test_a_small_difference_anywhere_shows(samples: Samples, other: str) -> None:
    assert relative(fingerprint(paying("state.reward"), samples), fingerprint(paying(other), samples)) > 1e-5


def test_rewards_that_may_not_be_trained_with_have_no_values(samples: Samples) -> None:
    with pytest.raises(SignalError, match="NaN or infinity"):
        signal_values(paying("state.reward / 0"), TASK, samples)


def test_a_worker_gives_the_same_values_each_time(executor: LocalExecutor) -> None:
    signal = rewarding(Reach(), TeamSuccess())
    first = executor.probe(signal, NAME)
    assert isinstance(first, SignalValues)
    assert executor.probe(signal, NAME) == first
    assert list(first.terms) == ["reach_nearest_0_1", "team_success_0_1"]


ENDLESS = """
def agent_reward(state):
    for _ in range(int(state.gamma * 10 ** 12)):
        pass
    return state.reward
"""


@pytest.mark.parametrize(
    ("source", "stage", "says"),
    [
        ("import os\ndef agent_reward(state):\n    return state.reward\n", "static", "os"),
        ("def agent_reward(state):\n    return state.obs[:, :, 99]\n", "dynamic", "IndexError"),
        (ENDLESS, "timeout", "loop"),
    ],
)
def test_a_signal_that_fails_is_told_as_a_failure(executor: LocalExecutor, source: str, stage: str, says: str) -> None:
    found = executor.probe(Signal(reward=Code(source=source)), NAME)
    assert isinstance(found, Failure)
    assert found.stage == stage
    assert says in found.message


@pytest.mark.parametrize(
    "change",
    [
        {"rows": -1},
        {"terms": {"\x1b[31m": {"mean": 0, "spread": 0, "least": 0, "most": 0, "share": 0}}},
        {"features": [{"mean": math.nan, "spread": 0, "least": 0, "most": 0, "share": 0}]},
        {"features": [{"mean": 1e300, "spread": 0, "least": 0, "most": 0, "share": 0}]},
        {"fingerprint": {"rows": 1, "reward": [0.0] * 10_000}},
        {"more": 1},
    ],
)
def test_what_a_worker_says_is_bounded(change: dict[str, Any]) -> None:
    """The process has run candidate code, which may have taken it over."""
    good: dict[str, Any] = {"rows": 1, "fingerprint": {"rows": 1}}
    assert SignalValues.model_validate(good)
    with pytest.raises(ValidationError):
        SignalValues.model_validate({**good, **change})
