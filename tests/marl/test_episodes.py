"""The trainer's book-keeping, on a task whose every observation says where and when it was made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from marlsmith.marl.algorithms import Rollout
from marlsmith.marl.config import TrainConfig
from marlsmith.marl.evaluation import play
from marlsmith.marl.observing import Observer
from marlsmith.marl.seeding import generator
from marlsmith.marl.signals.program import HISTORY, Program
from marlsmith.marl.signals.view import StateView
from marlsmith.marl.tasks import Episodes, State, TensorTask
from marlsmith.marl.tasks.verify import verify
from marlsmith.marl.trainer import Trainer
from marlsmith.schemas import DiscreteActions, Entity, Metric, StateField, TaskCard

HORIZON, AGENTS = 3, 2
FIELDS = ("episode", "age", "environment", "member")
COLUMNS = (*FIELDS, "agent")
EPISODE, AGE = 0, 1


class Lifetimes(TensorTask):
    """Environment [p, e] terminates when its episode is lifetimes[p][e] steps old; 9 never does.

    `episode` is the number of the call of `reset` that began it, `age` how many steps it has made. The
    observation's age is one more, so that it is never zero. The reward is age + 10 * action + 100 * agent.
    """

    def __init__(self, lifetimes: Sequence[Sequence[int]] = ((1, 2, 9), (2, 9, 1))) -> None:
        self.lifetimes = torch.tensor(lifetimes)
        self.resets = 0
        self.card = TaskCard(
            name="toy/lifetimes",
            description="Episodes of different lengths.",
            agents=AGENTS,
            actions=DiscreteActions(meanings=(("a", "b", "c"),) * AGENTS),
            observation_size=len(COLUMNS),
            horizon=HORIZON,
            fields=(
                *(StateField(name=name, shape="[B]", unit="none", meaning=name) for name in FIELDS),
                StateField(name="place", shape="[B, N, 2]", unit="none", meaning="always 0"),
            ),
            observation=(),
            entities=(Entity(name="agent", count=AGENTS, position="place", radius=1.0),),
            target="agent",
            reach=1.0,
            collide=1.0,
            metrics=(Metric(name="length", unit="steps", meaning="of the episode"),),
            score="length",
            sparsity="none",
        )

    def reset(self, generators: Sequence[torch.Generator], environments: int) -> State:
        shape = (len(generators), environments)
        began, self.resets = self.resets, self.resets + 1
        return {
            "episode": torch.full(shape, float(began)),
            "age": torch.zeros(shape),
            "environment": torch.arange(environments).expand(shape).float(),
            "member": torch.arange(len(generators)).unsqueeze(1).expand(shape).float(),
            "place": torch.zeros(*shape, AGENTS, 2),
        }

    def step(self, state: State, action: Tensor) -> tuple[State, Tensor, Tensor]:
        age = state["age"] + 1
        reward = age.unsqueeze(-1) + 10.0 * action + 100.0 * torch.arange(AGENTS)
        members, environments = age.shape
        return {**state, "age": age}, reward, age >= self.lifetimes[:members, :environments]

    def observe(self, state: State) -> Tensor:
        seen = [state["episode"], state["age"] + 1, state["environment"], state["member"]]
        own = torch.arange(AGENTS).expand(*state["age"].shape, AGENTS).float()
        return torch.stack([*(one.unsqueeze(-1).expand_as(own) for one in seen), own], -1)

    def metrics(self, episodes: Episodes) -> dict[str, Tensor]:
        return {"length": episodes.alive.float().sum(0)}


STEPS = 7
"""Six steps until all environments end together for the first time (1, 2 and 3 divide 6), and one more."""

BEGAN = {1: (0, 1, 2, 3, 4, 5, 6), 2: (0, 0, 2, 2, 4, 4, 6), 9: (0, 0, 0, 3, 3, 3, 6)}
"""By lifetime: which reset began the episode of each step. Some environment ends in every step."""

AGED = {1: (0, 0, 0, 0, 0, 0, 0), 2: (0, 1, 0, 1, 0, 1, 0), 9: (0, 1, 2, 0, 1, 2, 0)}
"""By lifetime: how old the episode was before each step."""

TERMINATED = {1: (1, 1, 1, 1, 1, 1, 1), 2: (0, 1, 0, 1, 0, 1, 0), 9: (0, 0, 0, 0, 0, 0, 0)}
DONE = {1: (1, 1, 1, 1, 1, 1, 1), 2: (0, 1, 0, 1, 0, 1, 0), 9: (0, 0, 1, 0, 0, 1, 0)}


def table(columns: dict[int, tuple[int, ...]]) -> Tensor:
    """[T, P, E] of the lifetimes ((1, 2, 9), (2, 9, 1))."""
    rows = [[columns[lifetime] for lifetime in row] for row in ((1, 2, 9), (2, 9, 1))]
    return torch.tensor(rows, dtype=torch.float32).movedim(-1, 0)


def observed(began: Tensor, age: Tensor) -> Tensor:
    """Observations [T, P, E, N, D] of episodes and ages [T, P, E], written out one by one."""
    made = torch.zeros(*age.shape, AGENTS, len(COLUMNS))
    for t, p, e, n in ((t, p, e, n) for t in range(STEPS) for p in range(2) for e in range(3) for n in range(AGENTS)):
        made[t, p, e, n] = torch.tensor([float(began[t, p, e]), float(age[t, p, e]) + 1, e, p, n])
    return made


def shaping(reward: Callable[[StateView], Any]) -> Program:
    return Program(reward, None, None, False, torch.full((AGENTS,), 0.5), "own")


REMEMBERING = Program(
    agent_reward=None,
    global_reward=None,
    enhance=lambda obs, history: torch.cat((history[..., EPISODE], history[..., AGE]), 1).transpose(1, 2),
    wants_history=True,
    alpha=torch.full((AGENTS,), 0.5),
    scope="own",
)
"""Features of every agent: the episodes of the last four observations, then their ages."""


def trainer(program: Program | None = None, rollout: int = STEPS, mode: Any = "replace", **changes: Any) -> Trainer:
    """Acts by a rule that can be read off the observation: (age + agent) mod 3."""
    config = TrainConfig(environments=3, rollout=rollout, hidden=4, epochs=1, minibatches=1, **changes)
    made = Trainer(Lifetimes(), program, config, (1, 2), mode)
    made.algorithm.act = (  # type: ignore[method-assign]
        lambda seen, available, memory, noise, progress: (((seen[..., AGE] + seen[..., 4]) % 3).long(), memory)
    )
    return made


def rollouts(made: Trainer, count: int) -> list[Rollout]:
    """What the algorithm is given to learn from; it learns nothing, so that the rule of acting stays."""
    given: list[Rollout] = []
    made.algorithm.update = lambda rollout, progress: given.append(rollout)  # type: ignore[method-assign]
    for _ in range(count):
        made.advance()
    return given


def collected(made: Trainer) -> Rollout:
    """Seven steps, in however many rollouts that takes."""
    pieces = rollouts(made, STEPS // made.config.rollout)
    names = ("observation", "after", "action", "reward", "terminated", "done")
    origin = {name: torch.cat([one.origin[name] for one in pieces]) for name in pieces[0].origin}
    return Rollout(**{name: torch.cat([getattr(one, name) for one in pieces]) for name in names}, origin=origin)


def test_the_toy_keeps_its_card() -> None:
    verify(Lifetimes(((1, 2, 3), (2, 2, 2))))


# ---------------------------------------------------------------- rollouts


@pytest.mark.parametrize("rollout", [STEPS, 1])
def test_every_row_of_a_rollout_is_the_step_it_should_be(rollout: int) -> None:
    """`after` is what the step led to, in the same episode, even where the next row is of another one."""
    made = collected(trainer(rollout=rollout))
    began, age = table(BEGAN), table(AGED)
    torch.testing.assert_close(made.observation, observed(began, age), rtol=0, atol=0)
    torch.testing.assert_close(made.after, observed(began, age + 1), rtol=0, atol=0)
    assert torch.equal(made.terminated, table(TERMINATED).bool())
    assert torch.equal(made.done, table(DONE).bool())
    agent = torch.arange(AGENTS)
    action = (age.unsqueeze(-1).long() + 1 + agent) % 3
    assert torch.equal(made.action, action)
    assert torch.equal(made.reward, age.unsqueeze(-1) + 1 + 10.0 * action + 100.0 * agent)


def test_the_clock_starts_again_only_where_an_episode_did() -> None:
    made = trainer(rollout=1)
    for age in table(AGED)[1:]:
        rollouts(made, 1)
        assert torch.equal(made.environments.clock.float(), age)
        assert torch.equal(made.environments.state["age"], age)
    rollouts(made, 1)
    assert made.environments.clock.tolist() == [[0, 1, 1], [1, 1, 0]], "the seventh step is the first of new episodes"


@pytest.mark.parametrize("rollout", [STEPS, 1])
def test_a_rollout_keeps_what_its_observations_and_rewards_are_made_of(rollout: int) -> None:
    """The task's fields before and after each step, the native reward, and how old the episode was after it."""
    made = collected(trainer(shaping(marked), rollout=rollout))
    began, age = table(BEGAN), table(AGED)
    for prefix, aged in (("before", age), ("after", age + 1)):
        assert torch.equal(made.origin[f"{prefix}.age"], aged)
        assert torch.equal(made.origin[f"{prefix}.episode"], began)
    assert torch.equal(made.origin["clock"].float(), age + 1)
    native = age.unsqueeze(-1) + 1 + 10.0 * made.action + 100.0 * torch.arange(AGENTS)
    assert torch.equal(made.origin["native"], native)
    assert not torch.equal(made.reward, native)


def test_memory_is_carried_from_step_to_step_and_forgotten_where_an_episode_ends() -> None:
    """A memory that counts the steps it has seen: the rollout's is that before its first step."""
    made = trainer(rollout=1)
    made.memory = torch.zeros(2, 3, AGENTS, 1)
    made.algorithm.act = (  # type: ignore[method-assign]
        lambda seen, available, memory, noise, progress: (torch.zeros(seen.shape[:-1], dtype=torch.int64), memory + 1)
    )
    given = [one.memory for one in rollouts(made, STEPS)]
    expected = table(AGED)[..., None, None].expand(STEPS, 2, 3, AGENTS, 1)
    for found, count in zip(given, expected, strict=True):
        assert found is not None
        assert torch.equal(found, count)


@pytest.mark.parametrize("rollout", [STEPS, 1])
def test_history_holds_each_observation_of_its_episode_once(rollout: int) -> None:
    """Ages 1, 2, ... with the newest last and zeros before the episode began."""
    made = collected(trainer(REMEMBERING, rollout))
    began, age = table(BEGAN), table(AGED)
    for found, newest in ((made.observation, age + 1), (made.after, age + 2)):
        rows = (newest.unsqueeze(-1) - torch.arange(HISTORY).flip(0)).clamp(min=0)
        episodes = torch.where(rows > 0, began.unsqueeze(-1), 0.0)
        features = found[..., len(COLUMNS) :]
        for n in range(AGENTS):
            torch.testing.assert_close(features[..., n, HISTORY:], rows, rtol=0, atol=0)
            torch.testing.assert_close(features[..., n, :HISTORY], episodes, rtol=0, atol=0)


# ---------------------------------------------------------------- what reward code sees


def seen_by_reward(steps: int = 70, rollouts: int = 1, **changes: Any) -> list[StateView]:
    """What the rewards of each rollout were computed from; whatever is asked after that is the watch's."""
    views: list[StateView] = []
    kept: list[StateView] = []

    def reward(state: StateView) -> Tensor:
        views.append(state)
        return torch.zeros_like(state.reward)

    made = trainer(shaping(reward), steps=steps, **changes)
    for _ in range(rollouts):
        before = len(views)
        made.advance()
        kept.append(views[before])
    return kept


def test_state_is_after_the_step_and_prev_before_it() -> None:
    """At the end of an episode too: neither is ever of the next one."""
    (state,) = seen_by_reward(gamma=0.8)
    began, age = table(BEGAN), table(AGED)
    for view, aged in ((state, age + 1), (state.prev, age)):
        assert torch.equal(view.age, aged.flatten())
        assert torch.equal(view.episode, began.flatten())
        assert torch.equal(view.obs, observed(began, aged).flatten(0, 2))
        torch.testing.assert_close(view.time, aged.flatten() / HORIZON)
        assert view.gamma == 0.8
    assert torch.equal(state.prev_obs, state.prev.obs)
    action = (age.unsqueeze(-1).long() + 1 + torch.arange(AGENTS)) % 3
    assert torch.equal(state.action, action.flatten(0, 2))
    reward = age.unsqueeze(-1) + 1 + 10.0 * action + 100.0 * torch.arange(AGENTS)
    assert torch.equal(state.reward, reward.flatten(0, 2))


def test_time_is_a_whole_episode_at_the_time_limit() -> None:
    (state,) = seen_by_reward()
    full = state.time.view(STEPS, 2, 3) == 1.0
    assert torch.equal(full, table(DONE).bool() & ~table(TERMINATED).bool())
    assert float(state.prev.time.min()) == pytest.approx(0.0, abs=1e-7)


def test_progress_is_the_share_of_training_before_the_rollout() -> None:
    views = seen_by_reward(steps=4 * 3 * STEPS, rollouts=4)
    assert [float(view.training_progress[0]) for view in views] == [0.0, 0.25, 0.5, 0.75]
    assert all(bool((view.training_progress == view.training_progress[0]).all()) for view in views)


# ---------------------------------------------------------------- what is learned from


def marked(state: StateView) -> Tensor:
    return 0.125 * state.age.unsqueeze(-1) - state.action


def test_a_shaped_reward_replaces_the_native_one_or_adds_to_it() -> None:
    native = collected(trainer()).reward
    replaced = collected(trainer(shaping(marked), mode="replace")).reward
    added = collected(trainer(shaping(marked), mode="add")).reward
    age = table(AGED).unsqueeze(-1)
    shaped = 0.125 * (age + 1) - (age + 1 + torch.arange(AGENTS)) % 3
    assert torch.equal(replaced, shaped)
    assert torch.equal(added, native + shaped)


def test_a_signal_without_reward_leaves_the_native_one_in_both_modes() -> None:
    native = collected(trainer()).reward
    for mode in ("replace", "add"):
        assert torch.equal(collected(trainer(REMEMBERING, mode=mode)).reward, native)


def relabelled(made: Trainer, rollout: Rollout, program: Program | None) -> Rollout:
    """What an algorithm that remembers the rollout gets for it when the signal is another."""
    found: list[Rollout] = []
    made.algorithm.resized = lambda size, kept: made.algorithm  # type: ignore[method-assign]
    made.algorithm.relabel = lambda relabel: found.append(relabel(rollout))  # type: ignore[method-assign]
    made.switch(program)
    return found[0]


@pytest.mark.parametrize("mode", ["replace", "add"])
def test_a_relabelled_rollout_is_the_one_that_would_have_been(mode: Any) -> None:
    """What a training under another signal collected is enough for what this signal would have shown and paid.

    From the start of the training, so that all history is there; the rule of acting looks at no feature.
    """
    wanted = replace(REMEMBERING, agent_reward=marked)
    other = replace(shaping(lambda state: state.reward * 3), enhance=lambda obs: obs[..., :1] * 7)
    expected, native = collected(trainer(wanted, mode=mode)), collected(trainer())
    for program in (None, other, wanted):
        made = trainer(program, mode=mode)
        found = relabelled(made, collected(made), wanted)
        back = relabelled(made, found, None)
        for name in ("observation", "after", "reward", "action", "terminated", "done"):
            assert torch.equal(getattr(found, name), getattr(expected, name)), name
            assert torch.equal(getattr(back, name), getattr(native, name)), name


def test_the_algorithm_is_told_how_far_the_training_is() -> None:
    made = trainer(steps=4 * 3 * STEPS)
    told: list[float] = []
    made.algorithm.update = lambda rollout, progress: told.append(progress)  # type: ignore[method-assign]
    while not made.finished:
        made.advance()
    assert told == [0.0, 0.25, 0.5, 0.75]


def test_term_statistics_are_of_the_last_tenth() -> None:
    """Twenty rollouts, progress 0, 0.05, ...: the last two count, and the sizes 0.925 : 3 : 0.075 share."""

    def reward(state: StateView) -> dict[str, Tensor]:
        like = torch.zeros_like(state.reward)
        progress = like + state.training_progress.unsqueeze(-1)
        return {"progress": progress, "minus three": like - 3.0, "what is left": 1 - progress}

    made = trainer(shaping(reward), steps=20 * 3 * STEPS)
    for _ in range(18):
        made.advance()
    assert made.term_statistics() == {}
    made.advance(), made.advance()
    assert made.finished
    found = made.term_statistics()
    for name, mean, spread, share in (
        ("progress", 0.925, 0.025, 0.925 / 4),
        ("minus three", -3.0, 0.0, 3 / 4),
        ("what is left", 0.075, 0.025, 0.075 / 4),
    ):
        assert (found[name].mean, found[name].spread, found[name].share) == pytest.approx(
            (mean, spread, share), abs=1e-5
        ), name


# ---------------------------------------------------------------- whole episodes


def played(task: Lifetimes, observer: Observer | None = None) -> tuple[Episodes, list[Tensor]]:
    """Always the second action; with what the policy was shown."""
    shown: list[Tensor] = []

    class Second:
        def fresh_memory(self, environments: int) -> None:
            return None

        def act_greedily(self, seen: Tensor, available: Tensor | None, memory: None) -> tuple[Tensor, None]:
            shown.append(seen)
            return torch.ones(seen.shape[:-1], dtype=torch.int64), None

    draws = [generator(seed, "evaluation") for seed in (1, 2)]
    return play(task, Second(), observer or Observer(None), draws, task.lifetimes.shape[1]), shown


def test_evaluation_counts_an_episode_until_it_ends() -> None:
    episodes, shown = played(Lifetimes())
    lives = {1: (1, 0, 0), 2: (1, 1, 0), 9: (1, 1, 1)}
    alive = table(lives)
    assert torch.equal(episodes.alive, alive.bool())
    age = torch.arange(1.0, 4.0)[:, None, None]
    expected = (age.unsqueeze(-1) + 10.0 + 100.0 * torch.arange(AGENTS)) * alive.unsqueeze(-1)
    assert torch.equal(episodes.reward, expected)
    assert episodes.state["age"][:, 1, 1].tolist() == [0, 1, 2, 3]
    assert [float(seen[1, 1, 0, AGE]) for seen in shown] == [1, 2, 3]


def test_evaluation_stops_when_every_episode_has_ended() -> None:
    episodes, _ = played(Lifetimes(((1, 2), (2, 1))))
    assert episodes.alive.float().sum(0).tolist() == [[1, 2], [2, 1]]
    assert len(episodes.state["age"]) == 3


def test_evaluation_begins_with_an_empty_history() -> None:
    _, shown = played(Lifetimes(), Observer(REMEMBERING))
    ages = [seen[1, 1, 0, len(COLUMNS) + HISTORY :].tolist() for seen in shown]
    assert ages == [[0, 0, 0, 1], [0, 0, 1, 2], [0, 1, 2, 3]]
