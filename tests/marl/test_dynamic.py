"""Dynamic checks by themselves: the functions here are plain ones, which no static check has seen."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from states import check_program, samples_of
from torch import Tensor

from marlsmith.marl.checking.dynamic import (
    ALTERATIONS,
    MOST_SECONDS,
    UNALTERED,
    altered,
    check_signal,
)
from marlsmith.marl.checking.samples import Samples
from marlsmith.marl.checking.surroundings import SETTINGS, Surroundings
from marlsmith.marl.signals.files import read_signal
from marlsmith.marl.signals.program import Program, build_program
from marlsmith.marl.signals.view import StateView
from marlsmith.marl.tasks import make_task
from marlsmith.schemas import Code, Signal, SignalError

TASK = make_task("mpe/simple_spread")
PLAIN = build_program(Signal(reward=Code(source="def agent_reward(state):\n    return state.reward\n")), TASK.card)


@pytest.fixture(scope="module")
def samples() -> Samples:
    return samples_of("mpe/simple_spread")


def rewarding(function: Callable[[StateView], Any], **changes: Any) -> Program:
    return replace(PLAIN, agent_reward=function, **changes)


def observing(function: Callable[..., Any], *, history: bool = False, **changes: Any) -> Program:
    return replace(PLAIN, agent_reward=None, enhance=function, wants_history=history, **changes)


def distances(state: StateView) -> Tensor:
    return (state.agent_pos.unsqueeze(2) - state.landmark_pos.unsqueeze(1)).norm(dim=-1)


def nearest(state: StateView) -> Tensor:
    return -distances(state).amin(-1)


# ---------------------------------------------------------------- what is returned


class Odd(Tensor):
    """A subclass may do anything in any operation."""


def inferred(state: StateView) -> Tensor:
    with torch.inference_mode():
        return nearest(state) * 2


KINDS: dict[str, tuple[Callable[[StateView], Any], str]] = {
    "a subclass": (lambda state: nearest(state).as_subclass(Odd), "no ordinary dense one"),
    "a parameter": (lambda state: torch.nn.Parameter(nearest(state)), "no ordinary dense one"),
    "sparse": (lambda state: nearest(state).to_sparse(), "no ordinary dense one"),
    "nowhere": (lambda state: nearest(state).to("meta"), "no ordinary dense one"),
    "with a gradient": (lambda state: nearest(state).requires_grad_(), "carries a gradient"),
    "inference": (inferred, "carries a gradient"),
}


@pytest.mark.parametrize("case", KINDS)
def test_only_ordinary_tensors_are_taken(case: str, samples: Samples) -> None:
    function, message = KINDS[case]
    for value in (function, lambda state: {"fine": nearest(state), "term": function(state)}):
        with pytest.raises(SignalError, match=message):
            check_program(rewarding(value), TASK, "own", samples)

    def enhance(obs: Tensor) -> Tensor:
        return function(StateView({"agent_pos": obs[..., 2:4], "landmark_pos": obs[..., 4:6]})).unsqueeze(-1)

    if case != "a parameter":  # it is none once its shape was changed
        with pytest.raises((SignalError, RuntimeError), match=f"{message}|unsqueeze"):
            check_program(observing(enhance), TASK, "own", samples)


def test_a_view_of_the_input_is_a_fine_answer(samples: Samples) -> None:
    check_program(rewarding(lambda state: state.reward), TASK, "own", samples)
    check_program(observing(lambda obs: obs[..., :2]), TASK, "own", samples)
    check_program(observing(lambda obs: obs[..., :1].expand(-1, -1, 3)), TASK, "own", samples)


def test_the_number_of_features_is_the_same_for_all_states(samples: Samples) -> None:
    def some(obs: Tensor) -> Tensor:
        return obs[..., :2] if bool((obs == 0).flatten(1).all(-1).any()) else obs[..., :3]

    with pytest.raises(SignalError, match="changes its shape or name"):
        check_program(observing(some), TASK, "own", samples)
    with pytest.raises(SignalError, match="changes its shape or name"):
        check_program(observing(lambda obs: obs[..., : 1 + len(obs) % 3]), TASK, "own", samples)


def test_terms_keep_their_names(samples: Samples) -> None:
    def named(state: StateView) -> dict[str, Tensor]:
        return {f"up to {int(state.obs.abs().max())}": nearest(state)}

    with pytest.raises(SignalError, match="changes its shape or name"):
        check_program(rewarding(named), TASK, "own", samples)


# ---------------------------------------------------------------- where it goes wrong


def test_a_fault_that_only_success_shows_is_found_and_placed(samples: Samples) -> None:
    """Random play never covers all landmarks: training goes there."""

    def until_done(state: StateView) -> Tensor:
        left = 1 - (distances(state).amin(1) < 0.1).float().mean(-1, keepdim=True)
        return nearest(state) / left

    with pytest.raises(SignalError, match=r"NaN or infinity for (play of a trained|a state with the agents on)"):
        check_program(rewarding(until_done), TASK, "own", samples)
    with pytest.raises(SignalError, match=r"as large as .* keep \|reward\| within 1000"):
        check_program(
            rewarding(lambda state: 1 / distances(state).amin(-1).square().clamp(min=1e-6)), TASK, "own", samples
        )


@pytest.mark.parametrize(
    ("function", "place"),
    [
        (lambda state: nearest(state) / state.obs.abs().sum(-1), "a state of zeros"),
        (lambda state: nearest(state) / (state.agent_pos[:, :1] - state.agent_pos).norm(dim=-1).sum(-1, True), "place"),
        (lambda state: torch.exp(state.agent_pos.abs().amax(-1) * 10).square(), "as large as"),
        (lambda state: torch.exp(state.agent_pos.abs().amax(-1) * 10) * 1e-12, "ten times as wide"),
    ],
)  # fmt: skip
def test_edge_states_are_named(function: Callable[[StateView], Tensor], place: str, samples: Samples) -> None:
    with pytest.raises(SignalError, match=place):
        check_program(rewarding(function), TASK, "own", samples)


def test_a_bonus_for_success_alone_is_no_constant(samples: Samples) -> None:
    check_program(
        rewarding(lambda state: (distances(state).amin(1) < 0.1).all(-1, keepdim=True).float().expand(-1, 3)),
        TASK,
        "own",
        samples,
    )
    with pytest.raises(SignalError, match="same in every state"):
        check_program(
            rewarding(lambda state: torch.ones_like(state.reward) + state.reward * 1e-9), TASK, "own", samples
        )


def test_alterations_touch_only_the_rows_they_are_for(samples: Samples) -> None:
    kinds = torch.arange(samples.rows) % 5 - 1
    view = altered(samples.state, kinds)
    kept = kinds == UNALTERED
    for name, value in vars(samples.state).items():
        if isinstance(value, Tensor):
            assert torch.equal(vars(view)[name][kept], value[kept]), name
    for kind, factor in enumerate((0.0, None, 10.0, 1e-3)):
        if factor is not None:
            rows = kinds == kind
            assert torch.equal(view.prev.agent_pos[rows], samples.state.prev.agent_pos[rows] * factor), ALTERATIONS[
                kind
            ]
    place = view.agent_pos[kinds == 1]
    assert torch.equal(place, place[:, :1].expand_as(place))


# ---------------------------------------------------------------- what is left alone

GROWN: list[float] = []


def impure(act: Callable[[], object]) -> Callable[[StateView], Tensor]:
    def function(state: StateView) -> Tensor:
        act()
        return nearest(state)

    return function


@pytest.fixture
def settings() -> Iterator[None]:
    before = {"threads": torch.get_num_threads(), "dtype": torch.get_default_dtype(), "numpy": np.geterr()}
    shown = np.get_printoptions()
    yield
    torch.set_num_threads(before["threads"])
    torch.set_default_dtype(before["dtype"])
    torch.set_grad_enabled(True)
    torch.set_flush_denormal(False)
    torch._C._set_deterministic_algorithms(False)
    torch.autograd.set_detect_anomaly(False)
    np.seterr(**before["numpy"])
    np.set_printoptions(precision=shown["precision"])


ACTS: dict[str, tuple[Callable[[], object], str]] = {
    "torch's draws": (lambda: torch.rand(1), "draws random numbers"),
    "numpy's draws": (lambda: np.random.rand(), "draws random numbers"),
    "python's draws": (random.random, "draws random numbers"),
    "a seed": (lambda: torch.manual_seed(7), "draws random numbers"),
    "gradients": (lambda: torch.set_grad_enabled(False), "gradient mode"),
    "denormals": (lambda: torch.set_flush_denormal(True), "denormal"),
    "threads": (lambda: torch.set_num_threads(torch.get_num_threads() + 1), "threads"),
    "determinism": (lambda: torch._C._set_deterministic_algorithms(True), "deterministic"),
    "anomalies": (lambda: torch.autograd.set_detect_anomaly(True), "anomaly"),
    "numpy's errors": (lambda: np.seterr(all="ignore"), "numpy's handling of errors"),
    "numpy's print": (lambda: np.set_printoptions(precision=3), "print options"),
}


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("case", ACTS)
def test_surroundings_must_stay_as_they_are(case: str, samples: Samples) -> None:
    act, message = ACTS[case]
    with pytest.raises(SignalError, match=message):
        check_program(rewarding(impure(act)), TASK, "own", samples)


def test_libraries_must_stay_as_they_are(samples: Samples, monkeypatch: pytest.MonkeyPatch) -> None:
    other = torch.relu.__call__
    with pytest.raises(SignalError, match="changes torch itself"):
        check_program(rewarding(impure(lambda: monkeypatch.setattr(torch, "relu", other))), TASK, "own", samples)


def test_a_snapshot_equals_itself() -> None:
    Surroundings.now().require("nobody")
    assert len(SETTINGS) > 10


@pytest.mark.parametrize(
    "write",
    [
        lambda state: state.reward.mul_(2),
        lambda state: state.prev.agent_pos.zero_(),
        lambda state: state.obs.numpy().fill(1.0),
        lambda state: vars(state).update(obs=state.obs * 1.5),
        lambda state: vars(state.prev).update(gamma=0.5),
        lambda state: vars(state).update(extra=1),
    ],
)
def test_inputs_must_stay_as_they_are(write: Callable[[StateView], object], samples: Samples) -> None:
    def function(state: StateView) -> Tensor:
        value = nearest(state)
        write(state)
        return value

    with pytest.raises(SignalError, match="changes its input"):
        check_program(rewarding(function), TASK, "own", samples)


def test_a_history_must_stay_as_it_is(samples: Samples) -> None:
    with pytest.raises(SignalError, match="changes its input"):
        check_program(observing(lambda obs, past: past[:, 0].mul_(2)[..., :2], history=True), TASK, "own", samples)


def test_what_the_module_holds_must_not_grow(samples: Samples) -> None:
    def counting(state: StateView) -> Tensor:
        GROWN.append(1.0)
        return nearest(state) * len(GROWN)

    with pytest.raises(SignalError, match="answers differently"):
        check_program(rewarding(counting), TASK, "own", samples)


# ---------------------------------------------------------------- each row alone

LEAKS: dict[str, Callable[[StateView], Tensor]] = {
    "far below any tolerance": lambda state: nearest(state) + 3e-7 * state.reward.mean(),
    "the row before the last": lambda state: nearest(state) + 0.01 * state.reward.roll(2, 0),
    "the largest of all": lambda state: nearest(state) + 0.1 * (state.reward == state.reward.max()).float(),
    "its place in the batch": lambda state: nearest(state) + torch.arange(len(state.time)).unsqueeze(1) / 5000,
    "the size of the batch": lambda state: nearest(state) * (2.0 if len(state.time) == 64 else 1.0),
    "a few rows alone": lambda state: nearest(state) * (2.0 if 1 < len(state.time) < 60 else 1.0),
    "the size of a rollout": lambda state: nearest(state) * (0.9 if len(state.time) > 1000 else 1.0),
}


def at_one_moment(state: StateView) -> Tensor:
    progress = state.training_progress
    return nearest(state) + (nearest(state).mean() if bool((progress == progress[0]).all()) else 0.0)


def at_the_end_of_a_training(state: StateView) -> Tensor:
    return at_one_moment(state) if bool((state.training_progress == 1).all()) else nearest(state)


def at_one_moment_before(state: StateView) -> Tensor:
    progress = state.prev.training_progress
    return nearest(state) + (nearest(state).mean() if bool((progress == progress[0]).all()) else 0.0)


def in_order(state: StateView) -> Tensor:
    ordered = bool((state.time[1:] >= state.time[:-1]).all())
    return nearest(state) + (nearest(state).mean(0, keepdim=True) if ordered else 0.0)


def side_by_side(state: StateView) -> Tensor:
    if len(state.time) != 1600 or not bool((state.time.view(25, 64) == state.time.view(25, 64)[:, :1]).all()):
        return nearest(state)
    return nearest(state).roll(64, 0)


def only_in_a_rollout(state: StateView) -> Tensor:
    return nearest(state) / (0.0 if bool((state.training_progress == state.training_progress[0]).all()) else 1.0)


IN_TRAINING = (at_one_moment, at_the_end_of_a_training, at_one_moment_before, in_order, side_by_side)


@pytest.mark.parametrize("function", IN_TRAINING)
def test_a_rollout_is_tried_as_it_comes_in_training(function: Callable[[StateView], Tensor], samples: Samples) -> None:
    """In the order of time, and all of it at one moment of the training."""
    with pytest.raises(SignalError, match="depends on the other states of the batch"):
        check_program(rewarding(lambda state: function(state) if len(state.time) > 1 else nearest(state)), TASK, "own")


def test_nan_at_one_moment_of_a_training_is_found(samples: Samples) -> None:
    with pytest.raises(SignalError, match="NaN or infinity"):
        check_program(
            rewarding(lambda state: only_in_a_rollout(state) if len(state.time) > 1 else nearest(state)), TASK, "own"
        )


def test_what_is_slow_only_in_a_rollout_is_refused(samples: Samples) -> None:
    def stalls(state: StateView) -> Tensor:
        if len(state.time) > 1 and bool((state.training_progress == state.training_progress[0]).all()):
            ends = time.process_time() + 2 * MOST_SECONDS
            while time.process_time() < ends:
                pass
        return nearest(state)

    with pytest.raises(SignalError, match="for 1600 states: vectorise it"):
        check_program(rewarding(stalls), TASK, "own", samples)


def begin_alike(obs: Tensor) -> Tensor:
    at_rest = bool((obs[..., :2] == 0).all())
    return obs[..., 2:4].amax(0, keepdim=True).expand_as(obs[..., 2:4]) if at_rest and len(obs) > 1 else obs[..., 2:4]


def test_the_beginning_of_episodes_is_tried(samples: Samples) -> None:
    with pytest.raises(SignalError, match="depends on the other states of the batch"):
        check_program(observing(begin_alike, scope="team"), TASK, "team", samples)

    def with_past(obs: Tensor, history: Tensor) -> Tensor:
        alone = bool((history[:, :-1] == 0).all()) and bool((history[:, -1] == obs).all())
        return begin_alike(obs) if alone else obs[..., 2:4]

    with pytest.raises(SignalError, match="depends on the other states of the batch"):
        check_program(observing(with_past, history=True, scope="team"), TASK, "team", samples)


MOMENT = "also in state.training_progress, which is \\[B\\]: .unsqueeze"


def test_moments_that_are_not_each_rows_own_are_told_as_such(samples: Samples) -> None:
    for read in (lambda progress: progress.mean(), lambda progress: progress[0]):
        with pytest.raises(SignalError, match=MOMENT):
            check_program(
                rewarding(lambda state, r=read: nearest(state) * (1 - r(state.training_progress))), TASK, "own", samples
            )
    check_program(
        rewarding(lambda state: nearest(state) * (2 - state.training_progress.unsqueeze(-1))), TASK, "own", samples
    )
    with pytest.raises(SignalError) as error:
        check_program(rewarding(lambda state: nearest(state) + state.time.mean()), TASK, "own", samples)
    assert "training_progress" not in str(error.value)


def test_values_and_indices_in_one_are_told_as_such(samples: Samples) -> None:
    with pytest.raises(SignalError, match=r"TypeError: .*write \.amin\(dim\)"):
        check_program(rewarding(lambda state: -distances(state).min(-1)), TASK, "own", samples)  # type: ignore[operator]


@pytest.mark.parametrize("case", LEAKS)
def test_a_row_that_depends_on_the_batch_is_refused(case: str, samples: Samples) -> None:
    with pytest.raises(SignalError, match="depends on the other states of the batch"):
        check_program(rewarding(LEAKS[case]), TASK, "own", samples)
    shown = observing(lambda obs: LEAKS[case](as_state(obs)).unsqueeze(-1))
    with pytest.raises(SignalError, match="depends on the other states of the batch"):
        check_program(shown, TASK, "own", samples)


def as_state(obs: Tensor) -> StateView:
    """What the leaks read, from observations alone, so that no agent reads another one's."""
    zero = torch.zeros_like(obs[..., 2:4])
    fields = {"agent_pos": obs[..., 2:4], "landmark_pos": zero, "reward": obs[..., 2], "time": obs[:, 0, 0]}
    return StateView(fields)


def test_a_batch_of_one_is_told_as_such(samples: Samples) -> None:
    with pytest.raises(SignalError, match=r"batch of a single state.*give squeeze\(\) a dimension"):
        check_program(rewarding(lambda state: nearest(state).unsqueeze(0).squeeze()), TASK, "own", samples)


def test_a_crash_on_altered_states_is_told_as_such(samples: Samples) -> None:
    def looked_up(state: StateView) -> Tensor:
        cell = (state.landmark_pos[..., 0].abs() * 3).long()
        return torch.linspace(0, 1, 5)[cell] + nearest(state)

    with pytest.raises(SignalError, match=r"IndexError: .*where some rows are altered.*clamp indices"):
        check_program(rewarding(looked_up), TASK, "own", samples)


# ---------------------------------------------------------------- own scope

OTHERS: dict[str, Callable[[Tensor], Tensor]] = {
    "a mean": lambda obs: obs.mean(1, keepdim=True).expand_as(obs),
    "far below any tolerance": lambda obs: obs[..., :2] + 1e-6 * obs[..., :2].sum(1, keepdim=True),
    "one agent alone": lambda obs: torch.cat((obs[:, :2, :1], obs[:, :1, :1]), 1),
    "a neighbour": lambda obs: obs.roll(1, 1)[..., :2],
    "at the size of a step, below the tolerance of other sizes": lambda obs: (
        obs[..., 2:4] * 0 + 900 + (0.008 * torch.tanh(obs[..., 2:4].roll(1, 1)) if len(obs) < 200 else 0.0)
    ),
    "which is first": lambda obs: (obs[..., 2] == obs[..., 2].amax(1, keepdim=True)).float().unsqueeze(-1),
    "only when near": lambda obs: torch.where(
        obs[..., 10:12].norm(dim=-1, keepdim=True) < 0.1, obs.roll(-1, 1)[..., :2], obs[..., :2]
    ),
}


@pytest.mark.parametrize("case", OTHERS)
def test_own_scope_is_exact(case: str, samples: Samples) -> None:
    check_program(observing(OTHERS[case], scope="team"), TASK, "team", samples)
    with pytest.raises(SignalError, match=r"other agents' observations for agent \d"):
        check_program(observing(OTHERS[case]), TASK, "own", samples)


def test_own_scope_holds_for_the_history_too(samples: Samples) -> None:
    for past in (0, 3):
        with pytest.raises(SignalError, match="other agents' observations"):
            check_program(
                observing(lambda obs, history, k=past: history[:, k].roll(1, 1)[..., :2], history=True),
                TASK, "own", samples,
            )  # fmt: skip
    check_program(observing(lambda obs, history: obs - history[:, 1], history=True), TASK, "own", samples)


# ---------------------------------------------------------------- what honest code may do

HONEST: dict[str, Callable[[StateView], Tensor]] = {}


def honest(function: Callable[[StateView], Tensor]) -> Callable[[StateView], Tensor]:
    HONEST[function.__name__] = function
    return function


@honest
def picks_rows_by_a_mask(state: StateView) -> Tensor:
    near = distances(state).amin(-1)
    value = -near
    value[near < 0.3] = torch.exp(-near[near < 0.3] * 3.3).tanh()
    return value


@honest
def multiplies_what_a_mask_picked(state: StateView) -> Tensor:
    weights = torch.linspace(-1, 1, 18).outer(torch.linspace(0.5, 1, 7))
    late = state.time > 0.4
    value = torch.zeros(len(late), 3)
    value[late] = (state.obs[late] @ weights).sum(-1) * 0.01
    return value + state.reward


@honest
def branches_on_the_batch(state: StateView) -> Tensor:
    value = nearest(state)
    if bool((state.time > 0.9).any()):
        value = torch.where((state.time > 0.9).unsqueeze(-1), value * 2, value)
    return value


@honest
def uses_linear_algebra(state: StateView) -> Tensor:
    gram = torch.einsum("bnd,bmd->bnm", state.obs, state.obs) / 40 + torch.eye(3) * 2
    return torch.linalg.solve(gram, state.reward.unsqueeze(-1)).squeeze(-1).clamp(-5, 5)


@honest
def sorts_and_gathers(state: StateView) -> Tensor:
    distance = torch.cdist(state.agent_pos, state.landmark_pos)
    order = distance.argsort(-1)
    return -distance.gather(-1, order)[..., 0] - torch.softmax(distance, -1)[..., 1]


@honest
def loops_over_agents(state: StateView) -> Tensor:
    return torch.stack([-distances(state)[:, i].min(dim=-1).values for i in range(3)], dim=1)


@pytest.mark.parametrize("case", HONEST)
def test_honest_code_stands_exact_comparison(case: str, samples: Samples) -> None:
    check_program(rewarding(HONEST[case]), TASK, "own", samples)


# ---------------------------------------------------------------- time


def test_a_function_that_loops_is_refused_before_it_costs_much(samples: Samples) -> None:
    def row_by_row(state: StateView) -> Tensor:
        value = torch.zeros_like(state.reward)
        for b in range(len(state.time)):
            for _ in range(60):
                value[b] = nearest(state.rows(slice(b, b + 1)))[0]
        return value

    started = time.process_time()
    with pytest.raises(SignalError, match=rf"more than {MOST_SECONDS} s for 1600 states: vectorise it"):
        check_program(rewarding(row_by_row), TASK, "own", samples)
    assert time.process_time() - started < 3


def test_a_scalar_function_is_tried_on_fewer_states(samples: Samples) -> None:
    sizes: list[int] = []

    def function(state: StateView) -> Tensor:
        sizes.append(len(state.time))
        return nearest(state)

    check_program(rewarding(function, scalar=True), TASK, "own", samples)
    assert max(sizes) == 64
    sizes.clear()
    check_program(rewarding(function), TASK, "own", samples)
    assert max(sizes) == 1600


SOURCE = """
import torch

def agent_reward(state):
    return -(state.agent_pos.unsqueeze(2) - state.landmark_pos.unsqueeze(1)).norm(dim=-1).amin(-1)

def enhance_observation(obs):
    return obs[..., 4:10].unflatten(-1, (3, 2)).norm(dim=-1)
"""


def test_an_ordinary_candidate_is_checked_in_a_moment(samples: Samples) -> None:
    """About 10 ms on a quiet core; the bound is for a busy one. A beat comes after each call."""
    signal = read_signal("signal.py", SOURCE)
    beats: list[float] = []
    seconds = []
    for _ in range(5):
        started = time.process_time()
        check_signal(signal, TASK, "own", samples, beat=lambda: beats.append(time.process_time()))
        seconds.append(time.process_time() - started)
    assert min(seconds) < 0.06
    assert len(beats) > 5 * 12
