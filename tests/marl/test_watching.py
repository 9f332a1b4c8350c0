"""That the reward of a state follows from it alone is watched in training, and the watch changes nothing."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from states import check_program, samples_of
from torch import Tensor

from marlsmith.marl import watching
from marlsmith.marl.config import TrainConfig
from marlsmith.marl.signals.files import read_signal
from marlsmith.marl.signals.program import Program, build_program
from marlsmith.marl.signals.view import StateView
from marlsmith.marl.tasks import make_task
from marlsmith.marl.trainer import Trainer
from marlsmith.marl.watching import PART, SCALAR_PART, WHOLE_EVERY, Again
from marlsmith.schemas import Approach, Code, RewardConfig, Signal, SignalError

TASK = make_task("mpe/simple_spread")
PLAIN = build_program(Signal(reward=Code(source="def agent_reward(state):\n    return state.reward\n")), TASK.card)
SEEDS = (1, 2)
ROWS = 2 * 16 * 25
HONEST = pathlib.Path(__file__).parent.parent / "corpus" / "honest"


def rewarding(function: Callable[[StateView], Any], **changes: Any) -> Program:
    return replace(PLAIN, agent_reward=function, **changes)


def trained(program: Program, steps: int = 4_000, **changes: Any) -> Trainer:
    config = {"algorithm": "ippo", "steps": steps, "epochs": 1, "minibatches": 1, **changes}
    trainer = Trainer(TASK, program, TrainConfig.model_validate(config), SEEDS)
    while not trainer.finished:
        trainer.advance()
    return trainer


# ---------------------------------------------------------------- leaks


def at_one_moment(state: StateView) -> Tensor:
    progress = state.training_progress
    if len(progress) > 1 and bool((progress == progress[0]).all()):
        return state.reward + 0.1 * state.reward.mean()
    return state.reward


def in_order(state: StateView) -> Tensor:
    if bool((state.time[1:] >= state.time[:-1]).all()):
        return state.reward + 0.1 * state.reward.mean(0, keepdim=True)
    return state.reward


def of_another_seed(state: StateView) -> Tensor:
    return state.reward.unflatten(0, (-1, 2, 16)).flip(1).flatten(0, 2) if len(state.time) == ROWS else state.reward


def late(state: StateView) -> Tensor:
    return at_one_moment(state) if float(state.training_progress[0]) > 0.5 else state.reward


LEAKS: dict[str, Callable[[StateView], Tensor]] = {
    "at one moment of the training": at_one_moment,
    "in the order of time": in_order,
    "of another seed": of_another_seed,
    "late": late,
    "at this size, and by little": (
        lambda state: state.reward + (2e-5 * state.reward.mean() if len(state.time) == ROWS else 0.0)
    ),
    "its place": lambda state: state.reward + torch.arange(len(state.time)).unsqueeze(1) * 1e-3,
    "the number of rows": lambda state: state.reward * (0.9 if len(state.time) == ROWS else 1.0),
    "the largest": lambda state: torch.where(state.reward == state.reward.max(), 10.0, state.reward),
}


@pytest.mark.parametrize("case", LEAKS)
def test_leaks_are_caught_in_training(case: str) -> None:
    with pytest.raises(SignalError, match=r"depends on the other states.*, seen after \d+ steps") as error:
        trained(rewarding(LEAKS[case]), 12_000)
    assert error.value.stage == "dynamic"


def test_a_leak_that_the_check_cannot_meet_is_caught_in_training() -> None:
    """The check has another number of rows."""
    program = rewarding(of_another_seed)
    check_program(program, TASK, "own", samples_of("mpe/simple_spread"))
    with pytest.raises(SignalError, match="depends on the other states"):
        trained(program)


def test_a_leak_between_environments_is_caught_where_each_is_asked_alone() -> None:
    leaks = rewarding(lambda state: state.reward + 0.01 * state.reward.roll(1, 0), scalar=True)
    with pytest.raises(SignalError, match="depends on the other states"):
        trained(leaks)


def test_what_is_written_into_the_state_is_not_what_is_asked_again() -> None:
    """The rows are taken before: a training's view is the code's own to spoil, and no one else's."""

    def spoils(state: StateView) -> Tensor:
        value = state.reward.clone()
        state.reward.zero_()
        state.obs.fill_(7.0)
        return value

    assert trained(rewarding(spoils)).steps == 4_000


@pytest.mark.parametrize("size", [2e6, 1e30])
def test_a_reward_that_grows_beyond_all_measure_is_refused_as_such(size: float) -> None:
    def huge(state: StateView) -> Tensor:
        return state.reward * (size if float(state.training_progress[0]) > 0.35 else 1.0)

    with pytest.raises(SignalError, match=r"became as large as .*e\+\d+ after 1600 steps: keep \|reward\| within") as e:
        trained(rewarding(huge))
    assert e.value.stage == "dynamic"


def test_nan_is_refused_as_such() -> None:
    with pytest.raises(SignalError, match="NaN or infinite after 0 steps"):
        trained(rewarding(lambda state: state.reward / 0.0))


# ---------------------------------------------------------------- honest signals

FILES = (
    "spread_linalg", "spread_einsum", "spread_masked_fill", "spread_greedy_sets", "spread_scatter_add",
    "spread_potential_based", "spread_annealing", "spread_itertools_assignment", "lero_mixed_forms",
)  # fmt: skip


def masked_product(state: StateView) -> Tensor:
    """Rows picked by a mask: how many there are may change how their sums are rounded."""
    weights = torch.linspace(-1, 1, 18).outer(torch.linspace(0.5, 1, 7))
    late = state.time > 0.4
    value = torch.zeros(len(late), 3)
    value[late] = (state.obs[late] @ weights).sum(-1)
    return value


def product_and_threshold(state: StateView) -> Tensor:
    weights = torch.linspace(-1, 1, 18 * 32).sin().view(18, 32)
    return (torch.tanh(state.obs @ weights).sum(-1) > 0).float()


@pytest.mark.parametrize("name", FILES)
def test_honest_signals_are_left_alone(name: str) -> None:
    program = build_program(read_signal(name, (HONEST / f"{name}.py").read_text()), TASK.card)
    assert trained(program, 800 if program.scalar else 8_000).steps >= 800


@pytest.mark.parametrize("function", [masked_product, product_and_threshold])
def test_rounding_is_no_leak(function: Callable[[StateView], Tensor]) -> None:
    assert trained(rewarding(function), 12_000).steps == 12_000


# ---------------------------------------------------------------- the watch itself


@pytest.mark.parametrize("algorithm", ["ippo", "vdn"])
def test_a_training_is_the_same_bits_with_and_without(algorithm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = build_program(Signal(reward=RewardConfig(terms=(Approach(),))), TASK.card)
    state = torch.random.get_rng_state()
    watched = trained(program, 2_000, algorithm=algorithm)
    assert torch.equal(state, torch.random.get_rng_state())
    asked: list[int] = []
    monkeypatch.setattr(Again, "require_same", lambda self, shaped, view: asked.append(len(self.index)))
    plain = trained(program, 2_000, algorithm=algorithm)
    assert len(asked) == 5
    there = dict(plain.tensors())
    for name, value in watched.tensors():
        assert torch.equal(value, there[name]), name


def view_of(rows: int) -> StateView:
    return StateView({"time": torch.zeros(rows), "reward": torch.rand(rows, 3), "prev": StateView({})})


def test_few_rows_are_asked_again_and_sometimes_as_many_as_there_are() -> None:
    sizes = [len(Again.picked(view_of(ROWS), PLAIN, SEEDS, 400 * k).index) for k in range(200)]
    assert set(sizes) == {ROWS, ROWS // PART}
    assert 0.5 / WHOLE_EVERY < sizes.count(ROWS) / 200 < 2 / WHOLE_EVERY
    alone = replace(PLAIN, scalar=True)
    assert {len(Again.picked(view_of(ROWS), alone, SEEDS, 400 * k).index) for k in range(50)} == {13}
    assert -(-ROWS // SCALAR_PART) == 13
    assert len(Again.picked(view_of(1), PLAIN, SEEDS, 0).index) == 1


def test_which_rows_follows_from_seeds_and_steps() -> None:
    def picked(seeds: tuple[int, ...], steps: int) -> list[int]:
        return Again.picked(view_of(ROWS), PLAIN, seeds, steps).index.tolist()

    assert picked(SEEDS, 400) == picked(SEEDS, 400)
    assert picked(SEEDS, 400) != picked(SEEDS, 800)
    assert picked(SEEDS, 400) != picked((1, 3), 400)


def test_a_turned_comparison_is_settled_at_the_size_of_the_rollout(monkeypatch: pytest.MonkeyPatch) -> None:
    """One row that another batch size rounds otherwise is no leak; the whole is asked before that is said."""
    asked: list[int] = []

    def turns(state: StateView) -> Tensor:
        asked.append(len(state.time))
        value = state.reward.clone()
        value[0] += 1.0 if len(state.time) < ROWS else 0.0
        return value

    monkeypatch.setattr(watching, "WHOLE_EVERY", 10**9)
    view = view_of(ROWS)
    again = Again.picked(view, rewarding(turns), SEEDS, 0)
    again.require_same(view.reward, lambda: view)
    assert asked == [ROWS // PART, ROWS]
