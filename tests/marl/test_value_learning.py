"""VDN and QMIX are their equations, go on from what was saved, and learn games that need joint credit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import pytest
import torch
from torch import Tensor

from marlsmith.marl.algorithms import Rollout, Spaces, find_algorithm
from marlsmith.marl.algorithms.replay import Sequences
from marlsmith.marl.algorithms.value_learning import ValueLearning
from marlsmith.marl.config import TrainConfig
from marlsmith.schemas import UserError

N, D, A = 2, 3, 4


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def learner(
    algorithm: str, seeds: Sequence[int] = (1, 2), spaces: Spaces | None = None, **config: object
) -> ValueLearning:
    settings = {"environments": 2, "rollout": 4, "replay": 40, "batch": 3, "updates": 2, "hidden": 8, "mixer": 5}
    made = find_algorithm(algorithm)(
        spaces or Spaces(N, D, A),
        TrainConfig.model_validate({**settings, "algorithm": algorithm, **config}),
        generators(*seeds),
    )
    assert isinstance(made, ValueLearning)
    return made


def random_rollout(seed: int, steps: int = 4, members: int = 2, masked: bool = True, width: int = D) -> Rollout:
    """Steps of two environments, with ends of both kinds and, within an episode, after = the next observation."""
    draws = torch.Generator().manual_seed(seed)
    lead = (steps, members, 2)
    observation = torch.randn(steps + 1, *lead[1:], N, width, generator=draws)
    terminated = torch.rand(lead, generator=draws) < 0.2
    done = terminated | (torch.rand(lead, generator=draws) < 0.2)
    apart = torch.randn(*lead, N, width, generator=draws)
    available = torch.rand(*lead, N, A, generator=draws) < 0.6
    available[..., 0] = True
    active = torch.rand(*lead, N, generator=draws) < 0.7
    return Rollout(
        observation[:-1],
        torch.where(done[..., None, None], apart, observation[1:]),
        torch.randint(A, (*lead, N), generator=draws),
        torch.randn(*lead, N, generator=draws),
        terminated,
        done,
        available_after=available if masked else None,
        active=active if masked else None,
        active_after=torch.rand(*lead, N, generator=draws) < 0.7 if masked else None,
    )


def values_one_by_one(network: object, observation: Tensor, memory: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """[N, A] for all members of one observation [P, N, D], and the memory [P, N, H] after it."""
    prepared = network.prepare(observation)[:, None, None]  # type: ignore[attr-defined]
    out, after = network(prepared, None if memory is None else memory[:, None])  # type: ignore[operator]
    return out[:, :, 0, 0].mT, None if after is None else after[:, 0, 0]


def loss_one_by_one(made: ValueLearning, batch: Sequences, double: bool) -> Tensor:
    """[P], by the definitions, in loops over members, sequences, steps and agents."""
    p, u, length, n = batch.action.shape
    losses = []
    for member in range(p):
        errors = []
        for sequence in range(u):
            memory = made.agent.fresh_memory(1)
            target_memory = made.target_agent.fresh_memory(1)
            now = None if memory is None else memory[:, 0]
            target_now = None if target_memory is None else target_memory[:, 0]
            for t in range(length):
                at = (slice(None), sequence, t)
                if t and bool(batch.done[member, sequence, t - 1]) and now is not None and target_now is not None:
                    now, target_now = torch.zeros_like(now), torch.zeros_like(target_now)
                values, now = values_one_by_one(made.agent, batch.observation[at], now)
                _, target_now = values_one_by_one(made.target_agent, batch.observation[at], target_now)
                judged, _ = values_one_by_one(made.agent, batch.after[at], now)
                targets, _ = values_one_by_one(made.target_agent, batch.after[at], target_now)
                chosen, best = torch.zeros(p, 1, n), torch.zeros(p, 1, n)
                anyone = batch.active is None
                for agent in range(n):
                    if batch.active is None or batch.active[at][member, agent]:
                        chosen[:, 0, agent] = values[:, agent, int(batch.action[at][member, agent])]
                        anyone = True
                    if batch.active_after is not None and not batch.active_after[at][member, agent]:
                        continue
                    free = [
                        action
                        for action in range(A)
                        if batch.available_after is None or batch.available_after[at][member, agent, action]
                    ]
                    judge = judged if double else targets
                    pick = max(free, key=lambda action: float(judge[member, agent, action]))
                    best[:, 0, agent] = targets[:, agent, pick]
                total = made.mixer(chosen, batch.observation[at].flatten(1).unsqueeze(1))[member, 0]
                after = made.target_mixer(best, batch.after[at].flatten(1).unsqueeze(1))[member, 0]
                future = 0.0 if batch.terminated[at][member] else made.config.gamma * after
                if anyone:
                    errors.append((total - batch.reward[at][member] - future) ** 2 / 2)
        losses.append(torch.stack(errors).mean())
    return torch.stack(losses)


CASES = [
    (algorithm, network, sharing, double, masked)
    for algorithm, network, sharing, double, masked in product(
        ("vdn", "qmix"), ("mlp", "gru"), ("shared", "separate"), (True, False), (True, False)
    )
    if sharing == "shared" or double
]


@pytest.mark.parametrize(("algorithm", "network", "sharing", "double", "masked"), CASES)
def test_the_loss_is_its_definition(algorithm: str, network: str, sharing: str, double: bool, masked: bool) -> None:
    """Also: a recurrent network sees a sequence as it would see it step by step."""
    made = learner(algorithm, network=network, sharing=sharing, double=double, sequence=4)
    draws = torch.Generator().manual_seed(0)
    made.optimiser.values += 0.3 * torch.randn(made.optimiser.values.shape, generator=draws)
    made.target_values += 0.3 * torch.randn(made.target_values.shape, generator=draws)
    for seed in range(4):
        made.replay.add(random_rollout(seed, masked=masked))
    batch = made.replay.gather(made.replay.draw(6, made.generators))
    assert batch.terminated.any()
    assert (batch.done & ~batch.terminated)[:, :, :-1].any(), "no time limit inside a sequence"
    with torch.no_grad():
        expected = loss_one_by_one(made, batch, double)
    torch.testing.assert_close(made.loss(batch), expected, atol=1e-5, rtol=1e-4)


def test_nothing_is_learned_through_the_target() -> None:
    """The gradient is that of the same error to targets that are mere numbers."""
    made = learner("qmix", sequence=4)
    made.replay.add(random_rollout(0, masked=False))
    batch = made.replay.gather(made.replay.draw(6, made.generators))
    prepared = made.agent.prepare(batch.observation)
    targets = made._targets(batch, prepared, None, made.agent(prepared)[0].detach(), None, [0, 1, 2, 3])
    numbers = replace(batch, reward=targets, terminated=torch.ones_like(batch.terminated))
    found, expected = (torch.autograd.grad(made.loss(b).sum(), made.optimiser.parameters) for b in (batch, numbers))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("algorithm", ["vdn", "qmix"])
def test_the_target_follows_slowly(algorithm: str) -> None:
    made = learner(algorithm, updates=1, target_rate=0.25)
    before, target = made.optimiser.values.clone(), made.target_values.clone()
    assert torch.equal(before, target)
    made.update(random_rollout(0), 0.0)
    assert not torch.equal(made.optimiser.values, before)
    torch.testing.assert_close(made.target_values, 0.75 * target + 0.25 * made.optimiser.values)
    # The networks read the very rows that move.
    assert torch.equal(made.target_agent.parameters()[0].flatten(), made.target_values[:, : D * 8 + N * 8].flatten())


def test_nothing_is_learned_before_a_batch_is_there() -> None:
    made = learner("qmix", batch=17)
    before = made.optimiser.values.clone()
    made.update(random_rollout(0), 0.0)
    made.update(random_rollout(1), 0.0)
    assert torch.equal(made.optimiser.values, before)
    made.update(random_rollout(2), 0.0)
    assert not torch.equal(made.optimiser.values, before)


def test_the_learning_rate_falls_to_zero() -> None:
    made = learner("vdn")
    before = made.optimiser.values.clone()
    made.update(random_rollout(0), 1.0)
    assert torch.equal(made.optimiser.values, before)


# ---------------------------------------------------------------- acting


def test_epsilon_falls_linearly() -> None:
    made = learner("vdn", epsilon_start=0.9, epsilon_end=0.1, epsilon_share=0.5)
    found = [made.epsilon(progress) for progress in (0.0, 0.25, 0.5, 1.0)]
    torch.testing.assert_close(torch.tensor(found), torch.tensor([0.9, 0.5, 0.1, 0.1]))


def test_random_actions_are_as_many_as_epsilon_says_and_even_over_what_is_available() -> None:
    made = learner("qmix", epsilon_start=0.4, epsilon_end=0.0, epsilon_share=1.0)
    draws = torch.Generator().manual_seed(0)
    observation = torch.randn(1, 1, N, D, generator=draws).expand(2, 5000, N, D)
    available = torch.tensor([True, True, False, True]).expand(2, 5000, N, A)
    greedy, _ = made.act_greedily(observation, available, None)
    assert (greedy != 2).all()
    for progress, epsilon in ((0.0, 0.4), (0.5, 0.2), (1.0, 0.0)):
        noise = torch.rand(2, 5000, N, made.noise, generator=draws)
        action, _ = made.act(observation, available, None, noise, progress)
        assert (action != 2).all()
        # Of the random ones a third is the greedy action again.
        assert abs(float((action != greedy).float().mean()) - epsilon * 2 / 3) < 0.02
        if epsilon == 0.4:
            others = [int((action[0, :, 0] == other).sum()) for other in (0, 1, 3) if other != int(greedy[0, 0, 0])]
            assert abs(others[0] - others[1]) < 130


def test_an_available_action_is_taken_whatever_its_value() -> None:
    made = learner("vdn")
    observation = torch.randn(2, 7, N, D, generator=torch.Generator().manual_seed(0))
    for only in range(A):
        available = (torch.arange(A) == only).expand(2, 7, N, A)
        assert (made.act_greedily(observation, available, None)[0] == only).all()
        assert (made.act(observation, available, None, torch.zeros(2, 7, N, A + 1), 0.0)[0] == only).all()


def test_memory_is_carried_from_step_to_step() -> None:
    made = learner("qmix", network="gru", sequence=4)
    observation = torch.randn(2, 5, N, D, generator=torch.Generator().manual_seed(0))
    fresh = made.fresh_memory(5)
    assert fresh is not None
    _, once = made.act_greedily(observation, None, fresh)
    _, twice = made.act_greedily(observation, None, once)
    assert once is not None
    assert twice is not None
    assert once.shape == twice.shape == fresh.shape
    assert not torch.equal(once, twice)


# ---------------------------------------------------------------- going on


@pytest.mark.parametrize(("algorithm", "network"), product(("vdn", "qmix"), ("mlp", "gru")))
def test_what_is_saved_goes_on_bit_for_bit(algorithm: str, network: str) -> None:
    config = {"network": network, "sequence": 2, "replay": 20}
    first, second = learner(algorithm, **config), learner(algorithm, seeds=(8, 9), **config)
    for seed in range(3):
        first.update(random_rollout(seed), 0.1)
    saved = {name: tensor.clone() for name, tensor in first.tensors()}
    second.make_room(saved)
    assert {name for name, _ in second.tensors()} == set(saved)
    with torch.no_grad():
        for name, tensor in second.tensors():
            tensor.copy_(saved[name])
    for one, other in zip(first.generators, second.generators, strict=True):
        other.set_state(one.get_state())
    for seed in (3, 4):
        for made in (first, second):
            made.update(random_rollout(seed), 0.2)
    for (name, one), (_, other) in zip(first.tensors(), second.tensors(), strict=True):
        assert torch.equal(one, other), name


@pytest.mark.parametrize("algorithm", ["vdn", "qmix"])
def test_a_member_learns_the_same_beside_others_or_alone(algorithm: str) -> None:
    together, alone = learner(algorithm, seeds=(1, 2)), learner(algorithm, seeds=(2,))
    for seed in range(3):
        rollout = random_rollout(seed, masked=False)
        names = ("observation", "after", "action", "reward", "terminated", "done")
        together.update(rollout, 0.0)
        alone.update(Rollout(**{name: getattr(rollout, name)[:, 1:] for name in names}), 0.0)
    torch.testing.assert_close(together.optimiser.values[1], alone.optimiser.values[0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("algorithm", "network"), product(("vdn", "qmix"), ("mlp", "gru")))
def test_new_columns_change_no_value_and_the_replay_learns_on(algorithm: str, network: str) -> None:
    old = learner(algorithm, network=network, sequence=2)
    for seed in range(3):
        old.update(random_rollout(seed), 0.1)
    batch = old.replay.gather(old.replay.draw(6, old.generators))
    expected = old.loss(batch)
    new = old.resized(D + 2, D)

    def enhanced(observation: Tensor) -> Tensor:
        return torch.cat((observation, observation[..., :2].sin() * 5), -1)

    def relabel(rollout: Rollout) -> Rollout:
        return replace(rollout, observation=enhanced(rollout.observation), after=enhanced(rollout.after))

    new.relabel(relabel)
    wide = replace(batch, observation=enhanced(batch.observation), after=enhanced(batch.after))
    torch.testing.assert_close(new.loss(wide), expected, atol=1e-6, rtol=1e-5)
    assert int(new.replay.filled) == 12
    new.update(relabel(random_rollout(4)), 0.1)
    assert int(new.replay.filled) == 16
    assert not torch.allclose(new.loss(wide), expected)


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"network": "gru"}, "set sequence higher"),
        ({"replay": 5}, "raise replay"),
        ({"batch": 41}, "raise replay"),
        ({"sequence": 21}, "raise replay"),
    ],
)
def test_settings_that_cannot_learn_are_refused(config: dict[str, object], says: str) -> None:
    with pytest.raises(UserError, match=says):
        learner("qmix", **config)


def test_continuous_actions_are_refused() -> None:
    with pytest.raises(UserError, match="use mappo or ippo"):
        learner("vdn", spaces=Spaces(N, D, A, continuous=True))


# ---------------------------------------------------------------- learning

PAYOFF = torch.tensor([[[7.0, 7.0], [7.0, 7.0]], [[0.0, 1.0], [1.0, 8.0]]])


def two_step_game(made: ValueLearning, draws: torch.Generator, progress: float) -> Tensor:
    """One episode in each of E environments and an update; the pay [P, E].

    The game of the QMIX paper (Rashid et al. 2018, section 5): the first agent's first action chooses between
    a game that always pays 7, and one that pays 8 when both agents dare their second action, and 1 or 0 otherwise.
    Both agents see which of the three states they are in.
    """
    members, environments = len(made.generators), made.config.environments
    state = torch.zeros(members, environments, dtype=torch.int64)
    rows = []
    for t in range(2):
        seen = torch.eye(3)[state].unsqueeze(2).expand(-1, -1, 2, -1)
        noise = torch.rand(members, environments, 2, made.noise, generator=draws)
        action, _ = made.act(seen, None, None, noise, progress)
        pay = PAYOFF[state - 1, action[..., 0], action[..., 1]] if t else torch.zeros(members, environments)
        state = state if t else action[..., 0] + 1
        led_to = torch.eye(3)[state].unsqueeze(2).expand(-1, -1, 2, -1)
        ended = torch.full_like(pay, t, dtype=torch.bool)
        rows.append((seen, led_to, action, pay.unsqueeze(-1).expand(-1, -1, 2), ended))
    seen, led_to, action, reward, ended = (torch.stack(column) for column in zip(*rows, strict=True))
    made.update(Rollout(seen, led_to, action, reward, ended, ended), progress)
    return pay


@pytest.mark.parametrize("algorithm", ["vdn", "qmix"])
def test_two_step_game(algorithm: str) -> None:
    """Under even exploration only QMIX can tell that daring pays 8; the sum takes the safe 7, as in the paper."""
    made = learner(
        algorithm, spaces=Spaces(2, 3, 2), environments=8, rollout=2, replay=1600, batch=64, updates=4, hidden=32,
        mixer=8, gamma=0.99, learning_rate=5e-3, epsilon_end=1.0, target_rate=0.05,
    )  # fmt: skip
    draws = torch.Generator().manual_seed(0)
    for episode in range(250):
        two_step_game(made, draws, episode / 250)
    made.config = made.config.model_copy(update={"epsilon_start": 0.0, "epsilon_end": 0.0})
    pay = two_step_game(made, draws, 1.0)
    assert pay.unique().tolist() == [8.0 if algorithm == "qmix" else 7.0]


@pytest.mark.parametrize("algorithm", ["vdn", "qmix"])
def test_joint_credit_in_one_step(algorithm: str) -> None:
    """Both are paid for the sum of what they do; each must find its own share of it."""
    made = learner(algorithm, spaces=Spaces(2, 1, 3), environments=8, rollout=1, replay=800, batch=32, hidden=16,
                   mixer=8, learning_rate=5e-3, epsilon_end=0.3)  # fmt: skip
    payoff = torch.tensor([[1.0, 0.0, 2.0], [4.0, 3.0, 5.0], [2.0, 1.0, 3.0]])
    draws = torch.Generator().manual_seed(0)
    seen = torch.ones(1, 2, 8, 2, 1)
    ended = torch.ones(1, 2, 8, dtype=torch.bool)
    for step in range(150):
        action, _ = made.act(seen[0], None, None, torch.rand(2, 8, 2, made.noise, generator=draws), step / 150)
        pay = payoff[action[..., 0], action[..., 1]].unsqueeze(-1).expand(-1, -1, 2)
        made.update(Rollout(seen, seen, action[None], pay[None], ended, ended), step / 150)
    best, _ = made.act_greedily(seen[0, :, :1], None, None)
    assert best.tolist() == [[[1, 2]], [[1, 2]]]
