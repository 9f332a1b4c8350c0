"""Evaluation plays whole episodes greedily, pays what the task pays, and leaves the training alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from toys import AGENTS, HORIZON, KINDS, SIGNALS, Kind, Line, advanced, bits, config, trainer

from marlsmith.marl.config import EvaluationConfig
from marlsmith.marl.evaluation import RandomPolicy, play, rollout_random
from marlsmith.marl.observing import Observer
from marlsmith.marl.seeding import generator
from marlsmith.marl.tasks import Environments, State
from marlsmith.marl.trainer import Trainer

EACH = pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.sharing == "shared"], ids=str)
DISCRETE = pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.continuous], ids=str)
BOTH = pytest.mark.parametrize("continuous", [False, True])


def paid(state: State) -> Tensor:
    """The native reward of reaching a state, [..., N]."""
    return -(state["place"] - state["mark"].unsqueeze(-1)).abs()


def test_the_score_is_of_fifty_episodes() -> None:
    assert EvaluationConfig().episodes == 50


@EACH
@pytest.mark.parametrize("mode", ["replace", "add"])
def test_the_reward_is_never_the_shaped_one(kind: Kind, mode: Any) -> None:
    """It is the native one until an episode ends, and nothing after that."""
    made = advanced(Trainer(Line(kind.continuous), SIGNALS["columns"], config(kind), (1, 2), mode), 2)
    episodes = made.evaluate(20, seed=3)
    alive = episodes.alive.unsqueeze(-1)
    native = paid({name: value[1:] for name, value in episodes.state.items()})
    assert torch.equal(episodes.reward, native * alive)
    assert episodes.reward.shape == (len(episodes.action), 2, 20, AGENTS)
    assert float(made.shaped_return) > 0 > float(episodes.reward.sum()), "the shaped one is about seven a step"


def test_an_episode_counts_until_it_ends_for_good() -> None:
    """The first state in which both agents stand near the mark is the last that counts."""
    episodes = rollout_random(Line(), seed=1, episodes=200)
    near = (paid({name: value[1:] for name, value in episodes.state.items()}) > -0.2).all(-1)
    ended = torch.cat((torch.zeros_like(near[:1]), near.cumsum(0)[:-1] > 0))
    assert torch.equal(episodes.alive, ~ended)
    lengths = episodes.alive.sum(0)
    assert int(lengths.min()) < HORIZON == int(lengths.max())
    last = torch.stack([paid({k: v[t, 0, e] for k, v in episodes.state.items()}) for e, t in enumerate(lengths[0])])
    torch.testing.assert_close(Line().metrics(episodes)["closeness"][0], last.mean(-1))


@DISCRETE
def test_the_best_available_action_is_taken(kind: Kind) -> None:
    """Networks that always want to go left do so, but where they cannot."""
    made = trainer(kind)
    with torch.no_grad():
        for name, tensor in made.algorithm.tensors():
            if name in {f"{part}.{last}.bias" for part in ("actor", "agent") for last in ("2", "leave")}:
                tensor[..., 0, :] = 100.0
    episodes = made.evaluate(20, seed=3)
    available = Line().available({name: value[:-1] for name, value in episodes.state.items()})
    assert available is not None
    left = available[..., 0]
    assert bool((episodes.action[left] == 0).all())
    assert bool((episodes.action[~left] != 0).all())
    assert bool(available.gather(-1, episodes.action.unsqueeze(-1)).all())
    assert int((~left).sum()) > 20


class Counting:
    """Remembers how many steps it has seen, and tells."""

    def __init__(self) -> None:
        self.told: list[Tensor] = []

    def fresh_memory(self, environments: int) -> Tensor:
        return torch.zeros(2, environments, AGENTS, 1)

    def act_greedily(
        self, observation: Tensor, available: Tensor | None, memory: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        assert memory is not None
        self.told.append(memory)
        return torch.ones(observation.shape[:-1], dtype=torch.int64), memory + 1


def test_memory_is_fresh_at_the_start_and_carried_from_step_to_step() -> None:
    policy = Counting()
    for _ in range(2):
        play(Line(), policy, Observer(None), [generator(seed, "x") for seed in (1, 2)], 4)
    told = torch.stack(policy.told)
    assert told.shape == (2 * HORIZON, 2, 4, AGENTS, 1)
    expected = torch.arange(float(HORIZON)).repeat(2).view(-1, 1, 1, 1, 1)
    assert torch.equal(told, expected.expand_as(told))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.network == "gru"], ids=str)
def test_recurrent_policies_play_with_their_memory(kind: Kind) -> None:
    """The actions of an evaluation are those of the algorithm asked step by step; without memory they differ."""
    made = advanced(trainer(kind), 2)
    episodes = made.evaluate(30, seed=3)
    task, memory, forgetful = Line(kind.continuous), made.algorithm.fresh_memory(30), []
    for t in range(len(episodes.action)):
        state = {name: value[t] for name, value in episodes.state.items()}
        seen, available = task.observe(state), task.available(state)
        forgetful.append(made.algorithm.act_greedily(seen, available, made.algorithm.fresh_memory(30))[0])
        action, memory = made.algorithm.act_greedily(seen, available, memory)
        torch.testing.assert_close(action, episodes.action[t])
    if kind.continuous:
        assert float((torch.stack(forgetful)[1:] - episodes.action[1:]).abs().max()) > 1e-4


@EACH
def test_evaluation_leaves_the_training_as_it_was(kind: Kind) -> None:
    """In the middle of an episode, with memory and history; and it is the same however often it is asked."""
    made = advanced(trainer(kind, SIGNALS["history"]), 2)
    before, observation = bits(made), made.observation.clone()
    first = made.evaluate(10, seed=3)
    assert torch.equal(first.reward, made.evaluate(10, seed=3).reward)
    assert not torch.equal(first.state["mark"], made.evaluate(10, seed=4).state["mark"])
    after = bits(made)
    assert after.keys() == before.keys()
    assert all(torch.equal(tensor, before[name]) for name, tensor in after.items())
    assert torch.equal(made.observation, observation)


@BOTH
def test_chance_plays_every_available_action_alike(continuous: bool) -> None:
    task = Line(continuous)
    policy = RandomPolicy(task.card, generator(1, "chance"))
    seen = torch.zeros(1, 6000, AGENTS, 3)
    if continuous:
        drawn, _ = policy.act_greedily(seen, None, None)
        assert drawn.shape == (1, 6000, AGENTS, 2)
        assert -1 <= float(drawn.min()) < -0.99
        assert 0.99 < float(drawn.max()) <= 1
        assert float(drawn.mean()) == pytest.approx(0.0, abs=0.02)
        return
    available = torch.tensor([[True, True, True], [False, True, True]]).expand(1, 6000, AGENTS, 3)
    drawn, _ = policy.act_greedily(seen, available, None)
    shares = torch.nn.functional.one_hot(drawn, 3).float().mean((0, 1))
    expected = torch.tensor([[1 / 3, 1 / 3, 1 / 3], [0.0, 0.5, 0.5]])
    torch.testing.assert_close(shares, expected, rtol=0, atol=0.03)
    assert float(shares[1, 0]) == 0


@BOTH
def test_episodes_of_chance_repeat_themselves(continuous: bool) -> None:
    one, same, other = (rollout_random(Line(continuous), seed, 8) for seed in (1, 1, 2))
    assert torch.equal(one.action, same.action)
    assert torch.equal(one.state["place"], same.state["place"])
    assert not torch.equal(one.state["place"][0], other.state["place"][0])


class Watched(Line):
    closed = 0

    def open(self, generators: Sequence[torch.Generator], environments: int) -> Environments:
        opened = super().open(generators, environments)

        def close() -> None:
            self.closed += 1

        opened.close = close  # type: ignore[method-assign]
        return opened


def test_environments_are_closed_also_when_the_policy_fails() -> None:
    """External ones are processes."""

    class Failing(Counting):
        def act_greedily(self, observation: Tensor, available: Tensor | None, memory: Tensor | None) -> Any:
            raise RuntimeError("no idea")

    task = Watched()
    draws = [generator(seed, "x") for seed in (1, 2)]
    play(task, Counting(), Observer(None), draws, 4)
    assert task.closed == 1
    with pytest.raises(RuntimeError, match="no idea"):
        play(task, Failing(), Observer(None), draws, 4)
    assert task.closed == 2
