"""One training in branches: each takes up a checkpoint, and where nothing changes all of them are one training."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from marlsmith.marl import jobs
from marlsmith.marl.checkpoint import unpack
from marlsmith.marl.config import BranchRequest, EvaluationConfig, Start, TrainConfig
from marlsmith.marl.executor import Progress
from marlsmith.marl.local import LocalExecutor
from marlsmith.marl.presets import train_config
from marlsmith.marl.signals.program import build_program
from marlsmith.marl.tasks import make_task
from marlsmith.schemas import (
    NATIVE,
    Approach,
    Evaluation,
    ObservationConfig,
    RewardConfig,
    Signal,
    Speed,
    TargetOffset,
    UserError,
    plain,
)

SPARSE, FOOD = "mpe/simple_spread_sparse", "lbf/8x8-2p-2f-coop"
EXTERNAL = "pettingzoo:environments_for_tests:Uneven"
WHOLE = 720
REWARD = RewardConfig(terms=(Approach(),))
SHAPED = Signal(reward=REWARD, observation=ObservationConfig(features=(TargetOffset(),)))
WIDER = Signal(reward=REWARD, observation=ObservationConfig(features=(TargetOffset(), Speed())))
CLOSER = Signal(reward=RewardConfig(alpha=1.0, terms=(Approach(weight=2.5),)), observation=WIDER.observation)
CHECKPOINT = "checkpoint.safetensors"


def config(algorithm: str, task: str) -> TrainConfig:
    # Rollouts of 12 steps end in the middle of an episode.
    changes = {"steps": WHOLE, "hidden": 16, "environments": 4}
    changes |= {"rollout": 12} if algorithm == "mappo" else {"updates": 2, "batch": 16, "replay": 200}
    return train_config(make_task(task).card, algorithm, changes)


def request(branch: str, algorithm: str = "mappo", task: str = SPARSE, **changes: Any) -> BranchRequest:
    common = {"branch": branch, "candidate": branch, "task": task, "seeds": (3, 8), "reward_mode": "add"}
    common |= {"train": config(algorithm, task), "evaluation": EvaluationConfig(episodes=4, seed=77)}
    return BranchRequest.model_validate(common | changes)


def on(branch: str, steps: int, until: int | None, signal: Signal, **changes: Any) -> BranchRequest:
    of_start = {name: changes.pop(name) for name in ("fork", "value_warm_up") if name in changes}
    return request(branch, start=Start(signal=signal, steps=steps, **of_start), until=until, **changes)


@pytest.fixture(scope="module")
def executor() -> Iterator[LocalExecutor]:
    made = LocalExecutor(2)
    yield made
    made.close()


class Branches:
    """Trains branches one after another, each in a directory of its own."""

    def __init__(self, executor: LocalExecutor, place: Path) -> None:
        self.executor, self.place = executor, place

    def train(self, asked: BranchRequest, signal: Signal, after: str | None = None) -> Evaluation:
        directory = self.place / asked.branch
        directory.mkdir()
        found = self.executor.train(asked, signal, directory, None, self.file(after) if after else None)
        assert found.error is None, found.error
        return found

    def file(self, branch: str) -> Path:
        return self.place / branch / CHECKPOINT

    def tensors(self, branch: str) -> dict[str, Tensor]:
        return unpack(self.file(branch).read_bytes())[0]


@pytest.fixture(autouse=True)
def few_episodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the learning curves that are played in this process."""
    monkeypatch.setattr(jobs, "CURVE_EPISODES", 2)


@pytest.fixture
def branches(executor: LocalExecutor, tmp_path: Path) -> Branches:
    return Branches(executor, tmp_path)


def same_bits(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    """Terms are counted for each branch by itself; all else is the training."""
    names = {name for name in one.keys() | other.keys() if not name.startswith("term.")}
    assert names <= one.keys() & other.keys()
    assert [name for name in sorted(names) if not torch.equal(one[name], other[name])] == []


# ---------------------------------------------------------------- one training


def in_process(asked: BranchRequest, signal: Signal, saved: bytes | None) -> tuple[dict[str, Any], bytes]:
    told = {"request": asked.model_dump(mode="json", exclude={"evaluation"}), "signal": plain(signal)}
    value, tensors = jobs.train({**told, "tensors": saved}, lambda _: None)
    assert tensors is not None
    return value, tensors


@functools.cache
def begun(steps: int, signal: Signal) -> bytes:
    """The checkpoint of a first branch."""
    return in_process(request("b0", until=steps), signal, None)[1]


@pytest.mark.parametrize(
    ("algorithm", "task", "signal"),
    [
        ("mappo", SPARSE, NATIVE),
        ("mappo", SPARSE, SHAPED),
        ("mappo", FOOD, SHAPED),
        ("vdn", SPARSE, SHAPED),
        ("vdn", FOOD, NATIVE),
    ],
)
def test_branches_of_the_same_signal_are_one_training(algorithm: str, task: str, signal: Signal) -> None:
    """Networks, optimiser, normaliser, replay, environments, history and streams, in whatever pieces."""
    of = {"algorithm": algorithm, "task": task}
    _, whole = in_process(request("whole", **of), signal, None)
    _, saved = in_process(request("b0", until=0, **of), signal, None)
    assert int(unpack(saved)[0]["steps"]) == 0
    for start, until in ((0, 240), (240, 480), (480, WHOLE)):
        value, saved = in_process(on("b", start, until, signal, **of), signal, saved)
        clock = [point["steps"] for point in value["curve"]]
        assert clock[0] > start
        assert clock[-1] == until
        assert len(clock) == (jobs.CURVE_POINTS if algorithm == "vdn" else 5), "one for each rollout at most"
    same_bits(unpack(saved)[0], unpack(whole)[0])


@pytest.mark.parametrize(("algorithm", "task"), [("mappo", SPARSE), ("vdn", FOOD)])
def test_in_the_jail_too_the_control_is_the_plain_training(algorithm: str, task: str, branches: Branches) -> None:
    of = {"algorithm": algorithm, "task": task}
    whole = branches.train(request("whole", **of), SHAPED)
    first = branches.train(request("b0", until=0, **of), SHAPED)
    second = branches.train(on("b1", 0, 480, SHAPED, **of), SHAPED, "b0")
    third = branches.train(on("b2", 480, None, SHAPED, **of), SHAPED, "b1")
    same_bits(branches.tensors("b2"), branches.tensors("whole"))
    assert (third.scores, third.metrics, third.behaviour) == (whole.scores, whole.metrics, whole.behaviour)
    assert [one.steps for one in (first, second, third, whole)] == [0, 480, 240, WHOLE]
    assert first.score is not None
    assert first.curve == ()
    assert first.steps_per_second == 0


def test_progress_and_terms_are_those_of_the_branch(branches: Branches) -> None:
    """Its steps from its own beginning, and its terms over its own last tenth, whatever the checkpoint counted."""
    seen: list[Progress] = []
    branches.train(request("b0", until=480), SHAPED)
    asked = on("b1", 480, WHOLE, SHAPED)
    directory = branches.place / "b1"
    directory.mkdir()
    found = branches.executor.train(asked, SHAPED, directory, seen.append, branches.file("b0"))
    assert seen
    assert all(0 < one.steps <= one.total == 240 for one in seen)
    ended = branches.tensors("b1")["term.approach_nearest"]
    assert float(ended[0]) == 2 * 48 * 3, "one rollout of two members and three agents"
    assert set(found.terms) == {"approach_nearest"}


def test_environments_that_cannot_be_saved_begin_new_episodes(
    branches: Branches, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There the pieces are not the whole training to the bit; but the same pieces are the same again."""
    monkeypatch.chdir(Path(__file__).parent)  # where its module is found
    of = {"task": EXTERNAL, "train": TrainConfig(steps=200, environments=4, hidden=8)}
    branches.train(request("b0", until=100, **of), NATIVE)
    for branch in ("b1", "b2"):
        branches.train(on(branch, 100, 200, NATIVE, **of), NATIVE, "b0")
    same_bits(branches.tensors("b1"), branches.tensors("b2"))
    assert int(branches.tensors("b1")["steps"]) == 200
    assert not torch.equal(branches.tensors("b1")["actor.0.weight"], branches.tensors("b0")["actor.0.weight"])


# ---------------------------------------------------------------- what changes at a start


@pytest.mark.parametrize("algorithm", ["mappo", "vdn"])
def test_a_branch_that_only_switches_plays_as_before(algorithm: str, branches: Branches) -> None:
    """Through the jail: the networks are other ones, wider or with other features, and choose the same actions."""
    of = {"algorithm": algorithm, "evaluation": EvaluationConfig(episodes=20, seed=5)}
    branches.train(request("b0", until=240, **of), SHAPED)
    before = branches.executor.evaluate(request("b0", **of), SHAPED, branches.file("b0"))
    wider = branches.train(on("b1", 240, 240, SHAPED, **of), WIDER, "b0")
    paid = branches.train(on("b2", 240, 240, WIDER, **of), WIDER.model_copy(update={"reward": None}), "b1")
    for after in (wider, paid):
        assert (after.scores, after.metrics, after.behaviour) == (before.scores, before.metrics, before.behaviour)
    sizes = [
        branches.tensors(name)["agent.0.weight" if algorithm == "vdn" else "actor.0.weight"]
        for name in ("b0", "b1", "b2")
    ]
    assert [one.shape[-2] - sizes[0].shape[-2] for one in sizes] == [0, 1, 1]


@pytest.mark.parametrize("algorithm", ["vdn", "qmix"])
def test_a_replay_that_is_taken_up_is_under_the_new_signal(algorithm: str) -> None:
    """What a fresh observer shows, and what a fresh program pays: from the checkpoint of a branch, in a full ring."""
    of = {"algorithm": algorithm}
    _, saved = in_process(request("b0", until=240, **of), SHAPED, None)
    _, after = in_process(on("b1", 240, 240, SHAPED, **of), CLOSER, saved)
    card, tensors = make_task(SPARSE).card, unpack(after)[0]
    program = build_program(CLOSER, card)
    width, agents, size = card.observation_size + 3, card.agents, card.observation_size
    steps = tensors["replay.steps"].flatten(0, 2)
    assert int(tensors["replay.filled"]) == len(tensors["replay.steps"]), "a ring that was written over"
    shown, led = (steps[:, i * agents * width :][:, : agents * width].unflatten(1, (agents, width)) for i in (0, 1))
    for seen in (shown, led):
        torch.testing.assert_close(seen[..., size:], program.features(seen[..., :size], None))
    place = {name: tensors[f"replay.origin.after.{name}"].flatten(0, 2) for name in ("agent_pos", "landmark_pos")}
    nearest = torch.cdist(place["agent_pos"], place["landmark_pos"]).amin(-1)
    native = tensors["replay.origin.native"].flatten(0, 2)
    torch.testing.assert_close(steps[:, -3], (native - 2.5 * nearest).mean(-1))
    assert float(nearest.std()) > 0.1


def test_features_that_are_not_those_of_the_checkpoint_are_refused(branches: Branches) -> None:
    """The policy would read something else than it has learned to read."""
    branches.train(request("b0", until=240), SHAPED)
    other = Signal(observation=ObservationConfig(features=(Speed(), TargetOffset())))
    directory = branches.place / "b1"
    directory.mkdir()
    found = branches.executor.train(on("b1", 240, 480, SHAPED), other, directory, None, branches.file("b0"))
    assert found.error is not None
    assert "do not begin with the 2 columns" in found.error.message


def test_a_fork_is_another_future_and_the_same_one_again() -> None:
    saved = begun(240, SHAPED)
    futures = {
        name: unpack(in_process(on("b1", 240, 480, SHAPED, fork=fork), SHAPED, saved)[1])[0]
        for name, fork in (("main", None), ("one", 1), ("again", 1), ("two", 2))
    }
    same_bits(futures["one"], futures["again"])
    actor = [futures[name]["actor.0.weight"] for name in ("main", "one", "two")]
    assert not any(torch.equal(a, b) for a, b in itertools.combinations(actor, 2))
    # A fork without a step changes the streams and nothing else: also no signal is new, so nothing warms up.
    here, forked = unpack(saved)[0], unpack(in_process(on("b1", 240, 240, SHAPED, fork=1), SHAPED, saved)[1])[0]
    assert {name for name in here if name in forked and not torch.equal(here[name], forked[name])} == {
        name for name in here if name.startswith("generator.")
    }


@pytest.mark.parametrize("warm_up", [0, 3])
def test_only_a_change_of_signal_warms_the_values_up(warm_up: int) -> None:
    saved = begun(240, SHAPED)
    for signal, expected in ((SHAPED, 0), (WIDER, warm_up)):
        _, after = in_process(on("b1", 240, 240, SHAPED, value_warm_up=warm_up), signal, saved)
        assert int(unpack(after)[0]["value.only"]) == expected


def test_the_clock_goes_on_where_a_training_goes_back() -> None:
    """What is taken up at 480 is the checkpoint of 240: it learns at the rate of 480, and ends in time."""
    saved = begun(240, SHAPED)
    value, after = in_process(on("b1", 480, WHOLE, SHAPED), SHAPED, saved)
    assert [value["curve"][0]["steps"] > 480, value["curve"][-1]["steps"]] == [True, WHOLE]
    late, early = unpack(after)[0], unpack(in_process(on("b1", 240, 480, SHAPED), SHAPED, saved)[1])[0]
    assert int(late["steps"]) == WHOLE
    assert torch.equal(late["adam.count.0"], early["adam.count.0"])
    moved = [(one["actor.0.weight"] - unpack(saved)[0]["actor.0.weight"]).norm() for one in (early, late)]
    assert float(moved[1]) < 0.8 * float(moved[0]), "the learning rate falls with the clock"


# ---------------------------------------------------------------- evaluating


def test_an_evaluation_plays_the_episodes_asked_for_and_trains_nothing(branches: Branches) -> None:
    asked = request("b0", until=240)
    trained = branches.train(asked, SHAPED)
    found = branches.executor.evaluate(asked, SHAPED, branches.file("b0"))
    assert (found.scores, found.metrics, found.behaviour) == (trained.scores, trained.metrics, trained.behaviour)
    assert (found.steps, found.curve, found.terms, found.checkpoint) == (0, (), {}, None)
    fresh = request("main-s1", candidate="main", until=480, evaluation=EvaluationConfig(episodes=4, seed=78))
    other = branches.executor.evaluate(fresh, SHAPED, branches.file("b0"))
    assert (other.branch, other.candidate, other.seeds) == ("main-s1", "main", (3, 8))
    assert other.behaviour != found.behaviour


# ---------------------------------------------------------------- checkpoints that are none


def spoiled(data: bytes, how: str) -> bytes:
    header = 8 + int.from_bytes(data[:8], "little")
    middle = (header + len(data)) // 2
    return {
        "cut short": data[:-100],
        "empty": b"",
        "a text": b"not a checkpoint at all\n" * 50,
        "a block of zeros": data[:middle] + bytes(512) + data[middle + 512 :],
        "one bit": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
    }[how]


@pytest.mark.parametrize("how", ["cut short", "empty", "a text", "a block of zeros", "one bit"])
def test_a_damaged_checkpoint_is_nobodys_fault(how: str, executor: LocalExecutor, tmp_path: Path) -> None:
    file = tmp_path / CHECKPOINT
    file.write_bytes(spoiled(begun(96, NATIVE), how))
    asked = on("b1", 96, 240, NATIVE)
    for act in (
        lambda: executor.train(asked, SHAPED, tmp_path, None, file),
        lambda: executor.evaluate(asked, NATIVE, file),
    ):
        with pytest.raises(UserError, match=r"is damaged.*: restore it, or start a new run\.$") as refused:
            act()
        assert str(file) in str(refused.value)
        assert "\n" not in str(refused.value)


def test_the_checkpoint_of_another_training_is_refused(executor: LocalExecutor, tmp_path: Path) -> None:
    file = tmp_path / CHECKPOINT
    with pytest.raises(UserError, match=r"Cannot read .*No such file.*; restore it, or start a new run"):
        executor.evaluate(request("b0"), NATIVE, file)
    file.write_bytes(begun(96, NATIVE))
    others = {
        "other seeds": on("b1", 96, 240, NATIVE, seeds=(3, 9)),
        "other signal": on("b1", 96, 240, SHAPED),
        "other task": on("b1", 96, 240, NATIVE, task="mpe/simple_spread"),
        "other train": on("b1", 96, 240, NATIVE, train=config("mappo", SPARSE).model_copy(update={"gamma": 0.5})),
    }
    for what, asked in others.items():
        with pytest.raises(UserError, match=rf"another training \({what}\): restore it, or start a new run"):
            executor.train(asked, SHAPED, tmp_path, None, file)


@pytest.mark.parametrize(("start", "until"), [(240, 96), (0, 2 * WHOLE), (2 * WHOLE, None)])
def test_a_branch_goes_forward_and_not_beyond_the_training(start: int, until: int | None) -> None:
    with pytest.raises(ValidationError, match="must go forward, and end by 720"):
        on("b", start, until, NATIVE)


def test_whole_rollouts_are_counted_from_where_a_branch_begins() -> None:
    asked = on("b", 240, 500, NATIVE)
    assert (asked.begins, asked.ends, asked.steps) == (240, 240 + 6 * 48, 6 * 48)
    assert (request("b").steps, request("b", until=0).ends) == (WHOLE, 0)
