"""MAPPO and IPPO: one update against the whole of it written out in loops over plain matrices."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import fields, replace
from typing import Any, NamedTuple

import pytest
import torch
from references import outputs, weights
from torch import Tensor

from marlsmith.marl.algorithms import Rollout, Spaces
from marlsmith.marl.algorithms.ippo import IPPO
from marlsmith.marl.algorithms.mappo import MAPPO
from marlsmith.marl.algorithms.proximal import DEVIATIONS, Proximal
from marlsmith.marl.config import TrainConfig

STEPS, ENVIRONMENTS, AGENTS, SEEN, ACTIONS, WIDTH = 10, 2, 2, 3, 4, 8
GAMMA, LAMBDA, DECAY = 0.9, 0.8, 0.7
CONFIG = TrainConfig(
    rollout=STEPS,
    environments=ENVIRONMENTS,
    hidden=WIDTH,
    gamma=GAMMA,
    gae_lambda=LAMBDA,
    value_decay=DECAY,
    epochs=1,
    minibatches=1,
    max_gradient_norm=1e6,
)
ALGORITHMS = {"mappo": MAPPO, "ippo": IPPO}
EITHER = pytest.mark.parametrize("algorithm", ALGORITHMS)


def learner(
    algorithm: str = "mappo", seeds: tuple[int, ...] = (1,), continuous: bool = False, seen: int = SEEN, **changes: Any
) -> Proximal:
    """Policies that prefer some actions, and returns seen before around 5 (and 6, ...) with deviation 3."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    config = CONFIG.model_copy(update={"algorithm": algorithm, **changes})
    made = ALGORITHMS[algorithm](Spaces(AGENTS, seen, ACTIONS, continuous), config, generators)
    own = dict(made.tensors())
    with torch.no_grad():
        # The last layer starts a hundred times smaller, so near the uniform policy, where entropy has no slope.
        own["actor.2.weight" if "actor.2.weight" in own else "actor.leave.weight"].mul_(100)
        for p, seed in enumerate(seeds):
            draws = torch.Generator().manual_seed(50 + seed)
            for name in ("actor.deviation", "value.memory"):
                if name in own:
                    own[name][p] = 0.5 * torch.randn(own[name].shape[1:], generator=draws)
    own["normaliser.mean"].copy_(0.5 * (5.0 + torch.tensor(seeds)))
    own["normaliser.square"].copy_(0.5 * ((5.0 + torch.tensor(seeds)).square() + 9.0))
    own["normaliser.weight"].fill_(0.5)
    return made


ENDS = {
    # (step, environment, whether the task ended it): the rest are time limits.
    "an end inside": ((3, 0, False), (6, 1, True), (7, 0, True)),
    "ends inside and in the last row": ((4, 0, False), (9, 0, True), (9, 1, False)),
    "no end": (),
    "a time limit in the last row only": ((9, 0, False), (9, 1, False)),
    "a termination in the last row only": ((9, 0, True),),
}


def rollout(
    name: str = "an end inside",
    members: int = 1,
    *,
    continuous: bool = False,
    masked: bool = False,
    memory: bool = False,
    seed: int = 7,
) -> Rollout:
    """Random numbers that hang together: an episode's next observation is what its last step led to."""
    draws = torch.Generator().manual_seed(seed)
    lead = (STEPS, members, ENVIRONMENTS)
    observation = torch.randn(*lead, AGENTS, SEEN, generator=draws)
    after = torch.cat((observation[1:], torch.randn(1, *observation.shape[1:], generator=draws)))
    terminated, done = torch.zeros(2, *lead, dtype=torch.bool)
    for t, environment, ended in ENDS[name]:
        after[t, :, environment] = torch.randn(members, AGENTS, SEEN, generator=draws)
        done[t, :, environment] = True
        terminated[t, :, environment] = ended
    action = torch.randint(0, ACTIONS, (*lead, AGENTS), generator=draws)
    available = active = None
    if masked:
        available = torch.rand(*lead, AGENTS, ACTIONS, generator=draws) < 0.6
        available.scatter_(-1, action.unsqueeze(-1), True)
        active = torch.rand(*lead, AGENTS, generator=draws) < 0.7
    if continuous:
        action, available = torch.randn(*lead, AGENTS, ACTIONS, generator=draws), None
    reward = 4.0 + 10.0 * torch.randn(*lead, AGENTS, generator=draws)
    kept = torch.randn(members, ENVIRONMENTS, AGENTS, WIDTH, generator=draws) if memory else None
    return Rollout(observation, after, action, reward, terminated, done, available, active=active, memory=kept)


def only(taken: Rollout, member: slice) -> Rollout:
    """The rollout of some members: they lie on the second axis, and of the memory on the first."""
    parts: dict[str, Any] = {}
    for field in fields(Rollout):
        value = getattr(taken, field.name)
        if isinstance(value, Tensor):
            parts[field.name] = value[member] if field.name == "memory" else value[:, member]
    return replace(taken, **parts)


# ---------------------------------------------------------------- one update, written out


class ByHand(NamedTuple):
    gradients: dict[str, Tensor]
    """By the names of `tensors`, of one member, [C, ...]."""
    mean: float
    square: float
    """The normaliser's, after this rollout."""
    memory: Tensor
    """What the value network remembers after it, [E, agents, H]: nothing where an episode ended in the last row."""


def by_hand(made: Proximal, taken: Rollout, p: int = 0) -> ByHand:
    """L = -mean(log pi(a) * A~) - entropy * mean H + mean (V - R~)^2 / 2 at the policy that acted.

    A~ = (A - mean A) / std A, R~ the returns in the scale of all seen. Means are over the rows of active agents.
    """
    own = dict(made.tensors())
    separate, continuous = made.config.sharing == "separate", "actor.deviation" in own
    joint = isinstance(made, MAPPO)
    copies = range(AGENTS if separate else 1)
    actors = [weights(own.items(), "actor", p, copy) for copy in copies]
    critics = [weights(own.items(), "value", p, copy) for copy in (range(1) if joint else copies)]
    deviations = [own["actor.deviation"][p, copy].detach().clone().requires_grad_() for copy in copies if continuous]
    decayed = float(own["normaliser.weight"][p])
    centre = float(own["normaliser.mean"][p]) / decayed
    scale = math.sqrt(float(own["normaliser.square"][p]) / decayed - centre**2)

    def read(n: int, observation: Tensor) -> Tensor:
        return observation[:, n] if separate else torch.cat(
            (observation[:, n], torch.eye(AGENTS)[n].expand(len(observation), AGENTS)), -1
        )  # fmt: skip

    def value(n: int, observation: Tensor, memory: Tensor | None, begins: Tensor | None) -> tuple[Tensor, Any]:
        """For observations [L, N, D]: values [L], and the memory after each."""
        network = critics[0] if joint or not separate else critics[n]
        out, after = outputs(network, observation.flatten(1) if joint else read(n, observation), memory, begins)
        return out[:, n if joint else 0], after

    memory = torch.zeros(ENVIRONMENTS, 1 if joint else AGENTS, WIDTH)
    values, following, log_probs, entropies = (torch.zeros(STEPS, ENVIRONMENTS, AGENTS) for _ in range(4))
    for e in range(ENVIRONMENTS):
        done = taken.done[:, p, e]
        begins = torch.cat((torch.tensor([False]), done[:-1]))
        for n in range(AGENTS):
            seen, after = taken.observation[:, p, e], taken.after[:, p, e]
            before = own["value.memory"][p, e, 0 if joint else n] if "value.memory" in own else None
            values[:, e, n], recalled = value(n, seen, before, begins)
            if recalled is not None and not bool(done[-1]):
                memory[e, 0 if joint else n] = recalled[-1].detach()
            for t in range(STEPS):
                following[t, e, n] = value(n, after[t : t + 1], None if recalled is None else recalled[t], None)[0][0]
            kept = None if taken.memory is None else taken.memory[p, e, n]
            out, _ = outputs(actors[n if separate else 0], read(n, seen), kept, begins)
            action = taken.action[:, p, e, n]
            policy: torch.distributions.Distribution
            if continuous:
                policy = torch.distributions.Normal(out, deviations[n if separate else 0].exp())
                log_probs[:, e, n], entropies[:, e, n] = policy.log_prob(action).sum(-1), policy.entropy().sum(-1)
                continue
            if taken.available is not None:
                out = torch.where(taken.available[:, p, e, n], out, -1e9)
            policy = torch.distributions.Categorical(logits=out)
            log_probs[:, e, n], entropies[:, e, n] = policy.log_prob(action), policy.entropy()

    advantages, returns = torch.zeros(2, STEPS, ENVIRONMENTS, AGENTS)
    for e in range(ENVIRONMENTS):
        for n in range(AGENTS):
            running = 0.0
            for t in reversed(range(STEPS)):
                now, then = (float(x[t, e, n].detach()) * scale + centre for x in (values, following))
                alive = 0.0 if taken.terminated[t, p, e] else 1.0
                delta = float(taken.reward[t, p, e, n]) + GAMMA * alive * then - now
                running = delta + (0.0 if taken.done[t, p, e] else GAMMA * LAMBDA * running)
                advantages[t, e, n], returns[t, e, n] = running, running + now
    counts = torch.ones(STEPS, ENVIRONMENTS, AGENTS, dtype=torch.bool) if taken.active is None else taken.active[:, p]
    mean = DECAY * float(own["normaliser.mean"][p]) + (1 - DECAY) * float(returns[counts].mean())
    square = DECAY * float(own["normaliser.square"][p]) + (1 - DECAY) * float(returns[counts].square().mean())
    new_weight = DECAY * decayed + 1 - DECAY
    target = (returns - mean / new_weight) / math.sqrt(square / new_weight - (mean / new_weight) ** 2)
    standard = (advantages - advantages[counts].mean()) / advantages[counts].std(correction=0)
    loss = (-log_probs * standard - made.config.entropy * entropies + 0.5 * (values - target).square())[counts].mean()

    gradients: dict[str, Tensor] = {}
    for prefix, networks in (("actor", actors), ("value", critics)):
        for name in networks[0]:
            found = torch.autograd.grad(loss, [network[name] for network in networks], retain_graph=True)
            gradients[f"{prefix}.{name}"] = torch.stack(found)
    if continuous:
        gradients["actor.deviation"] = torch.stack(torch.autograd.grad(loss, deviations, retain_graph=True))
    return ByHand(gradients, mean, square, memory)


def learned(made: Proximal, taken: Rollout, progress: float = 0.0, p: int = 0) -> dict[str, Tensor]:
    """What one update changes of a member's parameters."""

    def parameters() -> dict[str, Tensor]:
        return {
            name: tensor[p].detach().clone()
            for name, tensor in made.tensors()
            if name.startswith(("actor.", "value.")) and name not in {"value.memory", "value.only"}
        }

    before = parameters()
    made.update(taken, progress)
    return {name: after - before[name] for name, after in parameters().items()}


def assert_goes_down(made: Proximal, taken: Rollout, p: int = 0) -> None:
    """Adam's first step is -lr * g / (|g| + epsilon): with a large epsilon the gradient's size shows as well.

    The value network's gradient is the sum of what every row's return asks for, and the actor's that of every
    row's advantage: with as many parameters as here all returns and advantages must be right.
    """
    expected = by_hand(made, taken, p)
    changes = learned(made, taken, p=p)
    assert changes.keys() == expected.gradients.keys()
    for name, gradient in expected.gradients.items():
        assert float(gradient.abs().max()) > 1e-3, name
        step = -0.1 * gradient / (gradient.abs() + 1.0)
        torch.testing.assert_close(changes[name], step, rtol=1e-3, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}")
    own = dict(made.tensors())
    assert float(own["normaliser.mean"][p]) == pytest.approx(expected.mean, rel=1e-4)
    assert float(own["normaliser.square"][p]) == pytest.approx(expected.square, rel=1e-4)
    if "value.memory" in own:
        torch.testing.assert_close(own["value.memory"][p], expected.memory)


PLAIN_STEP = {"learning_rate": 0.1, "adam_epsilon": 1.0}


@EITHER
@pytest.mark.parametrize("name", ENDS)
def test_one_update_goes_down_the_gradient_of_the_loss(algorithm: str, name: str) -> None:
    assert_goes_down(learner(algorithm, **PLAIN_STEP), rollout(name))


@EITHER
@pytest.mark.parametrize("name", ENDS)
def test_so_does_one_of_recurrent_networks(algorithm: str, name: str) -> None:
    """From what they remember of before the rollout, through the ends inside it."""
    assert_goes_down(learner(algorithm, network="gru", **PLAIN_STEP), rollout(name, memory=True))


@EITHER
@pytest.mark.parametrize("network", ["mlp", "gru"])
@pytest.mark.parametrize("sharing", ["shared", "separate"])
@pytest.mark.parametrize("continuous", [False, True])
def test_so_does_every_kind(algorithm: str, network: str, sharing: str, continuous: bool) -> None:
    """The second of two members, with actions that were not to be had and agents that took no part."""
    made = learner(algorithm, (1, 2), continuous, network=network, sharing=sharing, entropy=2.0, **PLAIN_STEP)
    taken = rollout(members=2, continuous=continuous, masked=True, memory=network == "gru")
    assert_goes_down(made, taken, p=1)


# ---------------------------------------------------------------- minibatches


def tabular(algorithm: str, **changes: Any) -> tuple[Proximal, Rollout]:
    """Each row has an observation of its own, a column one-hot, and the last layers are tables over the rows."""
    rows = STEPS * ENVIRONMENTS
    made = learner(algorithm, seen=rows, hidden=rows, **changes)
    draws = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, tensor in made.tensors():
            if name in {"actor.0.weight", "value.0.weight", "actor.1.weight", "value.1.weight"}:
                tensor.zero_()
                tensor[..., :rows, :] = torch.eye(rows)
            elif name in {"actor.2.weight", "value.2.weight"}:
                tensor.copy_(torch.randn(tensor.shape, generator=draws))
    seen = torch.eye(rows).view(STEPS, 1, ENVIRONMENTS, 1, rows).expand(-1, -1, -1, AGENTS, -1).clone()
    taken = rollout("no end")
    return made, replace(taken, observation=seen, after=torch.cat((seen[1:], torch.zeros_like(seen[:1]))))


def momentum(made: Proximal, taken: Rollout) -> tuple[Tensor, Tensor]:
    """Adam's running mean of each row's entries in the actor's and the value network's table, [O, rows]."""
    order = [name for name, _ in made.tensors() if name.startswith(("actor.", "value.")) and "memory" not in name]
    made.update(taken, 1.0)
    own = dict(made.tensors())
    actor, value = (own[f"adam.mean.{order.index(f'{prefix}.2.weight')}"][0, 0] for prefix in ("actor", "value"))
    return actor, value


@EITHER
def test_several_minibatches_see_every_row_once_with_its_own_action(algorithm: str) -> None:
    """At a learning rate of zero a row's share of Adam's mean says in which steps it was seen.

    A row seen in step k of 8 has 0.9^(8 - k) of what it has after one step with all rows, and four times that, as
    its minibatch has a fourth of the rows. Actions, advantages and returns of other rows would not fit.
    """
    whole = momentum(*tabular(algorithm))
    found = momentum(*tabular(algorithm, minibatches=4, epochs=2))
    rounds = []
    for all_rows, shuffled in zip(whole, found, strict=True):
        ratio = (shuffled / (4 * all_rows)).median(0).values
        torch.testing.assert_close(shuffled, 4 * all_rows * ratio, rtol=1e-3, atol=1e-5)
        steps = [(first, second) for first in range(4) for second in range(4, 8)]
        shares = torch.tensor([0.9 ** (7 - first) + 0.9 ** (7 - second) for first, second in steps])
        distance, nearest = (ratio.unsqueeze(1) - shares).abs().min(1)
        assert float(distance.max()) < 2e-3
        rounds.append([steps[i] for i in nearest.tolist()])
    assert rounds[0] == rounds[1], "the actor and the value network see a row in the same steps"
    for epoch, start in ((0, 0), (1, 4)):
        order = [step[epoch] for step in rounds[0]]
        assert Counter(order) == dict.fromkeys(range(start, start + 4), STEPS * ENVIRONMENTS // 4)
        assert order != sorted(order)
    assert [first + 4 for first, _ in rounds[0]] != [second for _, second in rounds[0]], "shuffled anew"


@EITHER
@pytest.mark.parametrize("minibatches", [1, 3])
@pytest.mark.parametrize("network", ["mlp", "gru"])
def test_members_learn_what_they_would_learn_alone(algorithm: str, minibatches: int, network: str) -> None:
    """Recurrent networks learn from whole sequences: here there are two, fewer than three minibatches."""
    changes: dict[str, Any] = {"minibatches": minibatches, "epochs": 2, "network": network}
    both, second = learner(algorithm, (1, 2), **changes), learner(algorithm, (2,), **changes)
    taken = rollout(members=2, memory=network == "gru", masked=True)
    both.update(taken, 0.1), second.update(only(taken, slice(1, 2)), 0.1)
    together = dict(both.tensors())
    for name, one in second.tensors():
        if one.dim() and not name.startswith("adam.count"):  # counted once for all members
            torch.testing.assert_close(together[name][1:], one, rtol=1e-4, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}")


# ---------------------------------------------------------------- rates, scales, bonuses


@EITHER
@pytest.mark.parametrize(
    ("anneal", "progress", "rate"), [(True, 0.0, 0.01), (True, 0.75, 0.0025), (True, 1.0, 0.0), (False, 0.75, 0.01)]
)
def test_the_learning_rate_falls_linearly_to_zero(algorithm: str, anneal: bool, progress: float, rate: float) -> None:
    """With a tiny epsilon the size of Adam's first step is the learning rate, wherever there is a gradient."""
    made = learner(algorithm, anneal=anneal, learning_rate=0.01, adam_epsilon=1e-9)
    sizes = torch.cat([change.abs().flatten() for change in learned(made, rollout(), progress).values()])
    assert float(sizes.max()) == pytest.approx(rate, rel=1e-3)
    assert float((sizes > 0.9 * rate).float().mean()) > 0.5 or rate == 0


@EITHER
def test_normalised_returns_keep_their_scale(algorithm: str) -> None:
    """Rewards in another unit teach both networks the same thing, once the normaliser has seen them."""
    one = rollout()
    changes = []
    for unit in (1.0, 100.0):
        taken = replace(one, reward=one.reward * unit)
        # Twenty rollouts at a learning rate of zero, then what one step learns with the scale found there.
        used, fresh = learner(algorithm), learner(algorithm, learning_rate=0.1, adam_epsilon=1.0)
        for _ in range(20):
            used.update(taken, 1.0)
        for name in ("normaliser.mean", "normaliser.square", "normaliser.weight"):
            dict(fresh.tensors())[name].copy_(dict(used.tensors())[name])
        mean, deviation = fresh.normaliser.moments()
        assert float(mean) / unit == pytest.approx(40.0, abs=40.0)
        assert float(deviation) / unit == pytest.approx(15.0, abs=10.0)
        changes.append(learned(fresh, taken))
    for name, small in changes[0].items():
        torch.testing.assert_close(small, changes[1][name], rtol=2e-2, atol=2e-3, msg=lambda m, n=name: f"{n}: {m}")


@EITHER
def test_the_policy_does_not_feel_the_rewards_unit(algorithm: str) -> None:
    """Standardised advantages: where the values are certain to be zero, a thousandfold reward is the same."""
    taken = rollout("ends inside and in the last row")
    changes = []
    for unit in (1.0, 1000.0):
        made = learner(algorithm, adam_epsilon=1.0)
        own = dict(made.tensors())
        with torch.no_grad():
            own["value.2.weight"].zero_()
        own["normaliser.mean"].zero_()
        scaled = replace(taken, reward=taken.reward * unit)
        found = learned(made, scaled)
        changes.append({name: change for name, change in found.items() if name.startswith("actor.")})
    for name, one in changes[0].items():
        assert bool(one.any())
        torch.testing.assert_close(one, changes[1][name], rtol=1e-3, atol=1e-6)


def entropy_of(made: Proximal, taken: Rollout) -> float:
    """Of the actions that it draws in the first observation of the rollout, estimated from 2,000 draws a state."""
    draws, count = torch.Generator().manual_seed(0), 2000
    seen = taken.observation[0].repeat_interleave(count, 1)
    action, _ = made.act(seen, None, None, torch.rand(*seen.shape[:-1], made.noise, generator=draws), 0.0)
    share = torch.nn.functional.one_hot(action.unflatten(1, (-1, count)), ACTIONS).float().mean(2)
    return float(-(share * share.clamp(min=1e-9).log()).sum(-1).mean())


@EITHER
def test_the_entropy_bonus_spreads_the_policy(algorithm: str) -> None:
    taken = rollout()
    found = {}
    for weight in (0.0, 5.0):
        made = learner(algorithm, entropy=weight, learning_rate=0.01)
        for _ in range(20):
            made.update(taken, 0.0)
        found[weight] = entropy_of(made, taken)
    assert found[5.0] > found[0.0] + 0.1
    assert found[5.0] > 0.95 * math.log(ACTIONS)


@EITHER
@pytest.mark.parametrize("continuous", [False, True])
def test_actions_are_drawn_from_the_policy_that_is_learned(algorithm: str, continuous: bool) -> None:
    """4,000 draws for each observation: their shares are the softmax's, or their moments the normal distribution's."""
    made = learner(algorithm, continuous=continuous)
    taken = rollout()
    draws, count = torch.Generator().manual_seed(0), 4000
    seen = taken.observation[0].repeat_interleave(count, 1)
    action, _ = made.act(seen, None, None, torch.rand(*seen.shape[:-1], made.noise, generator=draws), 0.0)
    own = dict(made.tensors())
    actor = weights(own.items(), "actor", 0, 0)
    for n in range(AGENTS):
        rows = torch.cat((seen[0, :, n], torch.eye(AGENTS)[n].expand(len(seen[0]), AGENTS)), -1)
        out = outputs(actor, rows)[0].detach()
        if continuous:
            spread = own["actor.deviation"][0, 0].detach().clamp(*DEVIATIONS).exp()
            standard = (action[0, :, n] - out) / spread
            assert float(standard.mean(0).abs().max()) < 4 / len(standard) ** 0.5
            assert float((standard.square().mean(0) - 1).abs().max()) < 4 * (2 / len(standard)) ** 0.5
        else:
            share = torch.nn.functional.one_hot(action[0, :, n], ACTIONS).float()
            assert float((share - torch.softmax(out, -1)).mean(0).abs().max()) < 4 * 0.5 / len(share) ** 0.5


@EITHER
def test_what_comes_after_an_agent_has_left_changes_nothing_of_before(algorithm: str) -> None:
    """Agent 0 leaves for good in step 3 while the others go on: its last return is that step's reward alone."""
    taken, left = rollout("no end"), 3
    active = torch.ones(taken.reward.shape, dtype=torch.bool)
    active[left + 1 :, ..., 0] = False
    after = active.clone()
    after[left, ..., 0] = False
    changes = []
    for paid in (0.0, 1000.0):
        reward = taken.reward.clone()
        reward[left + 1 :, ..., 0] = paid
        made = learner(algorithm)
        before = {name: tensor.detach().clone() for name, tensor in made.tensors()}
        made.update(replace(taken, reward=reward, active=active, active_after=after), 0.0)
        changes.append({name: tensor.detach() - before[name] for name, tensor in made.tensors()})
    one, other = changes
    assert any(bool(tensor.any()) for tensor in one.values())
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


@EITHER
@pytest.mark.parametrize("network", ["mlp", "gru"])
def test_agents_that_take_no_part_teach_nothing(algorithm: str, network: str) -> None:
    """Whatever reward and action stand in their rows."""
    one = rollout(masked=True, memory=network == "gru")
    assert one.active is not None
    absent = ~one.active
    # A return reaches back to earlier steps of the same agent: with gamma 0 each step stands alone.
    other = replace(
        one,
        reward=torch.where(absent, 1e3, one.reward),
        action=torch.where(absent, 0, one.action),
        available=one.available | torch.ones_like(one.action, dtype=torch.bool).unsqueeze(-1) & absent.unsqueeze(-1),  # type: ignore[operator]
    )
    found = [learned(learner(algorithm, network=network, gamma=0.0), taken) for taken in (one, other)]
    for name, change in found[0].items():
        torch.testing.assert_close(change, found[1][name])
