"""Another signal in a running training: the policy is the same before and after, and what is learned is the new."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
import toys
from torch import Tensor
from toys import AGENTS, KINDS, ON_POLICY, SEEN, SIGNALS, Kind, advanced, bits, reloaded, trained, trainer

from marlsmith.marl.algorithms import Rollout
from marlsmith.marl.networks import AgentNetwork
from marlsmith.marl.signals.program import HISTORY, Program
from marlsmith.marl.trainer import Trainer
from marlsmith.schemas import SignalError

ALL = pytest.mark.parametrize("kind", KINDS, ids=str)
PROXIMAL = pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.algorithm in ON_POLICY], ids=str)
REMEMBERING = pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind.algorithm not in ON_POLICY and kind.sharing == "shared"], ids=str
)
APPENDED = {"columns": 2, "history": (HISTORY - 1) * SEEN}


@contextmanager
def recorded(patch: pytest.MonkeyPatch) -> Iterator[list[Tensor]]:
    """What agents' networks put out meanwhile: logits, means, values."""
    seen: list[Tensor] = []
    call = AgentNetwork.__call__

    def spy(self: AgentNetwork, *args: Any, **also: Any) -> Any:
        found = call(self, *args, **also)
        seen.append(found[0].detach().clone())
        return found

    with patch.context() as inner:
        inner.setattr(AgentNetwork, "__call__", spy)
        yield seen


def play(made: Trainer, patch: pytest.MonkeyPatch) -> tuple[list[Tensor], list[Tensor]]:
    """Outputs and actions: of an evaluation, and of one greedy and one exploring step from where the training is."""
    noise = torch.rand(*made.observation.shape[:-1], made.algorithm.noise, generator=torch.Generator().manual_seed(0))
    with recorded(patch) as outputs:
        actions = [made.evaluate(6, seed=3).action]
        available = made.environments.available
        actions.append(made.algorithm.act_greedily(made.observation, available, made.memory)[0])
        actions.append(made.algorithm.act(made.observation, available, made.memory, noise, 1.0)[0])
    return outputs, actions


def learned_by(made: Trainer) -> dict[str, Tensor]:
    """The algorithm's tensors that are no memory of steps and no scale of rewards."""
    passing = ("replay.", "normaliser.", "value.only")
    return {name: tensor.detach().clone() for name, tensor in made.algorithm.tensors() if not name.startswith(passing)}


def appended(name: str, tensor: Tensor, columns: int) -> list[int]:
    """Which inputs of a first layer, [..., inputs, outputs], are new: a joint observation has them once an agent."""
    inputs, wide = tensor.shape[-2], SEEN + columns
    blocks = AGENTS if inputs == AGENTS * wide else 1
    return [block * wide + SEEN + column for block in range(blocks) for column in range(columns)]


# ---------------------------------------------------------------- the policy stays


@ALL
@pytest.mark.parametrize("signal", APPENDED)
def test_new_columns_change_no_output(kind: Kind, signal: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = trained(kind)
    outputs, actions = play(made, monkeypatch)
    made.switch(SIGNALS[signal])
    assert made.observation.shape[-1] == SEEN + APPENDED[signal]
    found, taken = play(made, monkeypatch)
    assert len(found) == len(outputs) > 2
    for one, other in zip(outputs, found, strict=True):
        torch.testing.assert_close(other, one, rtol=0, atol=1e-6)
    for one, other in zip(actions, taken, strict=True):
        torch.testing.assert_close(other, one, rtol=0, atol=1e-6 if kind.continuous else 0)
    assert float(torch.cat([one.flatten() for one in outputs]).std()) > 1e-3, "outputs that differ between states"


@ALL
@pytest.mark.parametrize("signal", APPENDED)
def test_new_columns_enter_with_no_weight_and_all_else_stays(kind: Kind, signal: str) -> None:
    """In every network that reads observations, and in what the optimiser knows of each weight."""
    made = trained(kind)
    before = learned_by(made)
    made.switch(SIGNALS[signal])
    widened = set()
    after = learned_by(made)
    assert after.keys() == before.keys()
    for name, tensor in after.items():
        if tensor.shape == before[name].shape:
            assert torch.equal(tensor, before[name]), name
            continue
        widened.add(name)
        new = appended(name, tensor, APPENDED[signal])
        assert not bool(tensor[..., new, :].any()), name
        old = [column for column in range(tensor.shape[-2]) if column not in new]
        assert torch.equal(tensor[..., old, :], before[name]), name
    assert len(widened) >= 3, "weights, and their two moments"


@ALL
@pytest.mark.parametrize("signal", APPENDED)
def test_training_goes_on_and_new_columns_are_learned(kind: Kind, signal: str) -> None:
    made = trained(kind)
    narrow = {name: tensor.shape for name, tensor in learned_by(made).items()}
    made.switch(SIGNALS[signal])
    advanced(made, 3)
    made.require_health()
    assert made.steps == 6 * 28
    for name, tensor in learned_by(made).items():
        if tensor.shape != narrow[name]:
            new = tensor[..., appended(name, tensor, APPENDED[signal]), :]
            assert bool((new.abs().sum(-1) > 0).all()), f"{name}: for each member, network and column"


@ALL
def test_a_reward_alone_changes_no_network(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    made = trained(kind)
    before, played = learned_by(made), play(made, monkeypatch)
    made.switch(SIGNALS["reward"])
    after = learned_by(made)
    assert after.keys() == before.keys()
    assert all(torch.equal(tensor, before[name]) for name, tensor in after.items())
    for one, other in zip([*played[0], *played[1]], [y for x in play(made, monkeypatch) for y in x], strict=True):
        assert torch.equal(one, other)
    advanced(made, 2).require_health()


def other_columns(obs: Tensor) -> Tensor:
    return torch.stack((obs[..., 2].cos(), obs[..., 0] - 4), -1)


@ALL
@pytest.mark.parametrize(
    "following", [None, toys.program(other_columns), toys.program(toys.one_column)], ids=["native", "as many", "fewer"]
)
def test_the_columns_of_an_old_signal_are_dropped(kind: Kind, following: Program | None) -> None:
    """Weights that were learned for one feature must not meet another one, of however many columns."""
    made = trained(kind, "columns")
    before = learned_by(made)
    made.switch(following)
    columns = made.observation.shape[-1] - SEEN
    for name, tensor in learned_by(made).items():
        shape = before[name].shape
        if tensor.dim() < 2 or shape[-2] not in {5, 5 + AGENTS, 5 * AGENTS} or not is_first(name):
            assert torch.equal(tensor, before[name]), name
            continue
        new = appended(name, tensor, columns)
        old = [column for column in range(tensor.shape[-2]) if column not in new]
        gone = appended(name, before[name], 2)
        stayed = [column for column in range(shape[-2]) if column not in gone]
        assert bool(before[name][..., gone, :].any()), name
        assert not bool(tensor[..., new, :].any()), name
        assert torch.equal(tensor[..., old, :], before[name][..., stayed, :]), name
    advanced(made, 2).require_health()


@ALL
@pytest.mark.parametrize("signal", ["columns", "history"])
def test_a_signal_with_the_same_features_keeps_them(kind: Kind, signal: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another reward with the observation that was learned for: nothing of the policy changes, history included."""
    made = trained(kind, signal)
    before, observation, (outputs, actions) = learned_by(made), made.observation, play(made, monkeypatch)
    old = SIGNALS[signal]
    made.switch(
        Program(None, None, old.enhance, old.wants_history, old.alpha, old.scope), kept=made.observation.shape[-1]
    )
    assert torch.equal(made.observation, observation)
    for name, tensor in learned_by(made).items():
        assert torch.equal(tensor, before[name]), name
    again, chosen = play(made, monkeypatch)
    assert all(map(torch.equal, [*outputs, *actions], [*again, *chosen]))
    advanced(made, 2).require_health()


# ---------------------------------------------------------------- columns that are carried


def both(one: Any, other: Any) -> Any:
    return lambda obs, history: torch.cat((one(obs, history), other(obs, history)), -1)


def two(obs: Tensor, history: Tensor) -> Tensor:
    return toys.two_columns(obs)


def one(obs: Tensor, history: Tensor) -> Tensor:
    return toys.one_column(obs)


CARRYING = {
    "more columns": toys.program(lambda obs: torch.cat((toys.two_columns(obs), toys.one_column(obs)), -1), toys.nearer),
    "a history": toys.program(both(both(two, one), toys.differences), history=True),
    "behind a history": toys.program(both(both(both(two, one), toys.differences), one), toys.nearer, history=True),
}
"""Each begins with the columns of the one before, and all with those of "columns"."""


def carried_on(made: Trainer, signal: Program, patch: pytest.MonkeyPatch) -> None:
    """Switch, and see that nothing of what the networks put out, or of what is done, has changed."""
    kept, seen = made.observation.shape[-1], made.observation
    outputs, actions = play(made, patch)
    before = learned_by(made)
    made.switch(signal, "add", value_warm_up=1, kept=kept)
    assert torch.equal(made.observation[..., :kept], seen), "history included"
    found, taken = play(made, patch)
    for one, other in zip([*outputs, *actions], [*found, *taken], strict=True):
        torch.testing.assert_close(other, one, rtol=0, atol=1e-6 if one.is_floating_point() else 0)
    for name, tensor in learned_by(made).items():
        if tensor.shape == before[name].shape:
            assert torch.equal(tensor, before[name]), name
        else:
            assert float(tensor.abs().sum()) == pytest.approx(float(before[name].abs().sum()), rel=1e-5), name


@ALL
def test_switch_after_switch_the_policy_is_the_same(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns are learned for, carried, and joined by others; twice in a row without a step in between as well."""
    made = trained(kind, "columns")
    widths = []
    for number, signal in enumerate(CARRYING.values()):
        carried_on(made, signal, monkeypatch)
        widths.append(made.observation.shape[-1] - SEEN)
        if number != 1:
            advanced(made, 2).require_health()
    assert widths == [3, 3 + APPENDED["history"], 4 + APPENDED["history"]]
    weights = next(tensor for name, tensor in learned_by(made).items() if is_first(name))
    assert bool((weights[..., SEEN : SEEN + widths[-1], :].abs().sum(-1) > 0).all()), "all are learned from by then"


@ALL
def test_columns_that_are_not_the_same_are_not_kept(kind: Kind) -> None:
    """And a switch that is refused has changed nothing."""
    made = trained(kind, "columns")
    before = bits(made)
    others = {"others": toys.program(other_columns), "fewer": toys.program(toys.one_column), "none": None}
    for signal in others.values():
        with pytest.raises(SignalError, match="do not begin with the 2 columns that the policy reads"):
            made.switch(signal, kept=SEEN + 2)
    assert made.program is SIGNALS["columns"]
    after = bits(made)
    assert [name for name in before if not torch.equal(before[name], after[name])] == []


@ALL
def test_some_columns_are_kept_and_some_are_dropped(kind: Kind) -> None:
    made = trained(kind, "columns")
    made.switch(CARRYING["more columns"], kept=SEEN + 2)
    advanced(made, 1)
    before = learned_by(made)
    made.switch(toys.program(lambda obs: torch.cat((toys.two_columns(obs), other_columns(obs)), -1)), kept=SEEN + 2)
    for name, tensor in learned_by(made).items():
        if tensor.shape != before[name].shape:
            new = appended(name, tensor, 4)
            new = [column for block in range(len(new) // 4) for column in new[block * 4 + 2 : block * 4 + 4]]
            assert not bool(tensor[..., new, :].any()), name
            third = [column for i, column in enumerate(appended(name, before[name], 3)) if i % 3 == 2]
            old = [column for column in range(before[name].shape[-2]) if column not in third]
            stayed = [column for column in range(tensor.shape[-2]) if column not in new]
            assert torch.equal(tensor[..., stayed, :], before[name][..., old, :]), name
    advanced(made, 2).require_health()


@REMEMBERING
def test_what_was_seen_stays_in_the_replay_where_its_columns_are_carried(kind: Kind) -> None:
    """Also of the oldest steps, whose episodes' beginnings are gone: nobody could compute their history anew."""
    made = advanced(trainer(kind, SIGNALS["history"]), 11)
    replay = made.algorithm.replay  # type: ignore[attr-defined]
    begins = replay.draw(300, [torch.Generator().manual_seed(seed) for seed in (5, 6)])
    before, kept = replay.gather(begins), made.observation.shape[-1]
    wider = toys.program(both(toys.differences, one), lambda state: state.reward + 1, history=True)
    made.switch(wider, "replace", kept=kept)
    after = made.algorithm.replay.gather(begins)  # type: ignore[attr-defined]
    assert torch.equal(after.observation[..., :kept], before.observation)
    assert torch.equal(after.after[..., :kept], before.after)
    assert torch.equal(after.observation[..., kept:], toys.one_column(before.observation[..., :SEEN]))
    assert torch.equal(after.after[..., kept:], toys.one_column(before.after[..., :SEEN]))
    native = dict(replay.tensors())["origin.native"].flatten(0, 2).mean(-1)
    torch.testing.assert_close(after.reward.flatten(1), native[replayed_rows(kind, begins)] + 1)


def replayed_rows(kind: Kind, begins: Tensor) -> Tensor:
    """The rows [P, U * L] of a replay's flat store in which sequences lie."""
    small = toys.config(kind)
    return (begins.unsqueeze(-1) + torch.arange(small.sequence) * (2 * small.environments)).flatten(1)


def is_first(name: str) -> bool:
    """Whether these weights read observations; Adam's moments are told by their shapes alone."""
    return name.endswith((".0.weight", ".enter.weight", "hyper.weight")) or name.startswith("adam.")


# ---------------------------------------------------------------- the values


@PROXIMAL
def test_the_scale_of_the_returns_is_estimated_anew(kind: Kind) -> None:
    """After one rollout it is that rollout's alone: the native reward is negative, the new one about seven."""
    made = trained(kind)
    moments = {name: tensor.clone() for name, tensor in made.algorithm.tensors() if name.startswith("normaliser.")}
    assert bool((moments["normaliser.mean"] < 0).all())
    made.switch(SIGNALS["columns"])
    advanced(made, 1)
    own = dict(made.algorithm.tensors())
    torch.testing.assert_close(
        own["normaliser.weight"], torch.full((2,), 1 - made.config.value_decay, dtype=torch.float64)
    )
    assert bool((own["normaliser.mean"] / own["normaliser.weight"] > 3).all())


@PROXIMAL
@pytest.mark.parametrize("signal", ["reward", "columns"])
def test_the_policy_stands_still_while_the_values_warm_up(kind: Kind, signal: str) -> None:
    """To the bit, for as many rollouts as wanted; the value network learns meanwhile."""
    made = trained(kind)
    made.switch(SIGNALS[signal], value_warm_up=2)

    def parts(prefix: str) -> dict[str, Tensor]:
        return {name: tensor for name, tensor in learned_by(made).items() if name.startswith(prefix)}

    for moves in (False, False, True):
        actor, value = parts("actor."), parts("value.")
        advanced(made, 1)
        assert [torch.equal(tensor, actor[name]) for name, tensor in parts("actor.").items()] == [not moves] * len(
            actor
        )
        assert not any(
            torch.equal(tensor, value[name]) for name, tensor in parts("value.").items() if "memory" not in name
        )


# ---------------------------------------------------------------- what is remembered


def history(seen: list[Tensor]) -> Tensor:
    """The last observations of an episode, [1, H, N, D], the newest last and zeros before the first."""
    rows = [torch.zeros(AGENTS, SEEN)] * HISTORY + seen
    return torch.stack(rows[-HISTORY:]).unsqueeze(0)


def remembered(made: Trainer, rollouts: int) -> Rollout:
    """Train, and keep every step by ourselves."""
    given: list[Rollout] = []
    update = made.algorithm.update

    def keep(rollout: Rollout, progress: float) -> None:
        given.append(rollout)
        update(rollout, progress)

    made.algorithm.update = keep  # type: ignore[method-assign]
    advanced(made, rollouts)
    del made.algorithm.update
    names = ("observation", "after", "action", "reward", "terminated", "done")
    return Rollout(**{name: torch.cat([getattr(one, name) for one in given]) for name in names})


Row = tuple[Tensor, Tensor, Tensor]


def relabelled_by_hand(kept: Rollout, features: Callable[[list[Tensor]], Tensor], mode: str) -> dict[tuple, Row]:
    """Observation, after and team reward under SIGNALS' reward, by member and what the agents saw.

    Only steps of episodes that began within what we kept: their history is known.
    """
    rows: dict[tuple, Row] = {}
    steps, members, environments = kept.reward.shape[:3]
    for p in range(members):
        for e in range(environments):
            episode: list[Tensor] | None = []
            for t in range(steps):
                seen, after = kept.observation[t, p, e, :, :SEEN], kept.after[t, p, e, :, :SEEN]
                if episode is not None:
                    episode.append(seen)
                    shaped = seen[:, 2].abs() - 2 * after[:, 2].abs() + 0.1 * kept.reward[t, p, e] + 7.0
                    reward = shaped + kept.reward[t, p, e] if mode == "add" else shaped
                    pair = (
                        torch.cat((seen, features(episode)), -1),
                        torch.cat((after, features([*episode, after])), -1),
                    )
                    rows[p, *seen.flatten().tolist()] = (*pair, reward.mean())
                if bool(kept.done[t, p, e]):
                    episode = []
    return rows


FEATURES: dict[str, Callable[[list[Tensor]], Tensor]] = {
    "reward": lambda seen: torch.zeros(AGENTS, 0),
    "columns": lambda seen: toys.two_columns(seen[-1]),
    "history": lambda seen: toys.differences(torch.zeros(1), history(seen))[0],
}


@REMEMBERING
@pytest.mark.parametrize("signal", FEATURES)
@pytest.mark.parametrize(("rollouts", "mode"), [(3, "replace"), (11, "add")], ids=["not full", "written over"])
def test_what_is_replayed_is_under_the_new_signal(kind: Kind, signal: str, rollouts: int, mode: Any) -> None:
    """Computed from scratch for each step, in a ring of 50 steps that is not full yet, or was written over."""
    made = trainer(kind)
    kept = remembered(made, rollouts)
    made.switch(SIGNALS[signal], mode)
    expected = relabelled_by_hand(kept, FEATURES[signal], mode)
    sampled = made.algorithm.replay.gather(  # type: ignore[attr-defined]
        made.algorithm.replay.draw(300, [torch.Generator().manual_seed(seed) for seed in (5, 6)])  # type: ignore[attr-defined]
    )
    members = torch.arange(2.0)[:, None, None, None].expand(*sampled.reward.shape, 1)
    keys = torch.cat((members, sampled.observation[..., :SEEN].flatten(3)), -1).flatten(0, 2).tolist()
    rows = [expected[int(member), *seen] for member, *seen in keys]
    observation, after, reward = (torch.stack(part) for part in zip(*rows, strict=True))
    torch.testing.assert_close(sampled.reward.flatten(), reward)
    torch.testing.assert_close(sampled.observation.flatten(0, 2)[..., :SEEN], observation[..., :SEEN])
    wrong = torch.zeros(len(rows), dtype=torch.bool)
    for found, right in ((sampled.observation, observation), (sampled.after, after)):
        wrong |= ~torch.isclose(found.flatten(0, 2), right, rtol=1e-5, atol=1e-5).flatten(1).all(1)
    # The oldest steps in the ring are in the middle of an episode, whose beginning is no longer there.
    if signal == "history" and rollouts == 11:
        assert float(wrong.float().mean()) < 0.2
    else:
        assert not bool(wrong.any())
    assert len({tuple(key) for key in keys}) > 100, "different steps"


# ---------------------------------------------------------------- checkpoints


@ALL
@pytest.mark.parametrize("signal", ["reward", "history"])
def test_a_checkpoint_right_after_a_switch_goes_on_bit_for_bit(kind: Kind, signal: str) -> None:
    made = trained(kind)
    made.switch(SIGNALS[signal], value_warm_up=1)
    again = reloaded(made, kind)
    one, other = bits(advanced(made, 2)), bits(advanced(again, 2))
    assert one.keys() == other.keys()
    assert [name for name, tensor in one.items() if not torch.equal(tensor, other[name])] == []


@ALL
def test_a_loaded_training_switches_like_the_one_that_was_saved(kind: Kind) -> None:
    made = advanced(trainer(kind, SIGNALS["columns"]), 3)
    again = reloaded(made, kind)
    for one in (made, again):
        one.switch(SIGNALS["history"], "add", value_warm_up=1)
        advanced(one, 2)
    found, expected = bits(again), bits(made)
    assert found.keys() == expected.keys()
    assert [name for name, tensor in found.items() if not torch.equal(tensor, expected[name])] == []
