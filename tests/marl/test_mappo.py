"""MAPPO's targets against a loop written out, and its gradient step against autograd on plain matrices."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from marlsmith.marl.algorithms import Rollout, Spaces
from marlsmith.marl.algorithms.mappo import MAPPO
from marlsmith.marl.config import TrainConfig

STEPS, ENVIRONMENTS, AGENTS, WIDTH, ACTIONS = 10, 2, 2, 3, 4
GAMMA, LAMBDA, DECAY = 0.9, 0.8, 0.7
CONFIG = TrainConfig(
    rollout=STEPS,
    environments=ENVIRONMENTS,
    hidden=8,
    gamma=GAMMA,
    gae_lambda=LAMBDA,
    value_decay=DECAY,
    epochs=1,
    minibatches=1,
    max_gradient_norm=1e6,
)


def mappo(seeds: tuple[int, ...] = (1,), **changes: Any) -> MAPPO:
    """Policies that prefer some actions, and returns seen before around 5 (and 6, ...) with deviation 3."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    made = MAPPO(Spaces(AGENTS, WIDTH, ACTIONS), CONFIG.model_copy(update=changes), generators)
    with torch.no_grad():
        # The last layer starts a hundred times smaller, so near the uniform policy, where entropy has no slope.
        made.actor.weights[-1].mul_(100)
    made.normaliser.mean.copy_(0.5 * (5.0 + torch.tensor(seeds)))
    made.normaliser.square.copy_(0.5 * ((5.0 + torch.tensor(seeds)).square() + 9.0))
    made.normaliser.weight.fill_(0.5)
    return made


ENDS = {
    # (step, environment, whether the task ended it): the rest are time limits.
    "an end inside": ((3, 0, False), (6, 1, True), (7, 0, True)),
    "ends inside and in the last row": ((4, 0, False), (9, 0, True), (9, 1, False)),
    "no end": (),
    "a time limit in the last row only": ((9, 0, False), (9, 1, False)),
    "a termination in the last row only": ((9, 0, True),),
}


def rollout(name: str = "an end inside", members: int = 1) -> Rollout:
    """Random numbers that hang together: an episode's next observation is what its last step led to."""
    draws = torch.Generator().manual_seed(7)
    lead = (STEPS, members, ENVIRONMENTS)
    observation = torch.randn(*lead, AGENTS, WIDTH, generator=draws)
    after = torch.cat((observation[1:], torch.randn(1, *observation.shape[1:], generator=draws)))
    terminated, done = torch.zeros(2, *lead, dtype=torch.bool)
    for t, environment, ended in ENDS[name]:
        after[t, :, environment] = torch.randn(members, AGENTS, WIDTH, generator=draws)
        done[t, :, environment] = True
        terminated[t, :, environment] = ended
    action = torch.randint(0, ACTIONS, (*lead, AGENTS), generator=draws)
    reward = 4.0 + 10.0 * torch.randn(*lead, AGENTS, generator=draws)
    return Rollout(observation, after, action, reward, terminated, done)


def forward(weights: list[Tensor], biases: list[Tensor], x: Tensor) -> Tensor:
    """One member's network on rows [R, in]."""
    for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
        x = (x @ weight + bias).clamp(min=0)
    return x @ weights[-1] + biases[-1]


def member(network: Any, p: int) -> tuple[list[Tensor], list[Tensor]]:
    return tuple(
        [one[p].detach().clone().requires_grad_() for one in some] for some in (network.weights, network.biases)
    )


def targets_by_hand(made: MAPPO, taken: Rollout) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Advantages, normalised returns, old values, and the normaliser's new mean and square: loops over numbers."""
    members = len(made.generators)
    advantages, returns, old_values = torch.zeros(3, STEPS, members, ENVIRONMENTS, AGENTS)
    mean, square = torch.zeros(2, members)
    for p in range(members):
        network = member(made.value, p)
        centre = float(made.normaliser.mean[p] / made.normaliser.weight[p])
        scale = math.sqrt(float(made.normaliser.square[p] / made.normaliser.weight[p]) - centre**2)
        for e in range(ENVIRONMENTS):
            for n in range(AGENTS):
                running = 0.0
                for t in reversed(range(STEPS)):
                    old = float(forward(*network, taken.observation[t, p, e].flatten())[0, n].detach())
                    following = float(forward(*network, taken.after[t, p, e].flatten())[0, n].detach())
                    value, next_value = old * scale + centre, following * scale + centre
                    alive = 0.0 if taken.terminated[t, p, e] else 1.0
                    delta = float(taken.reward[t, p, e, n]) + GAMMA * alive * next_value - value
                    running = delta + (0.0 if taken.done[t, p, e] else GAMMA * LAMBDA * running)
                    advantages[t, p, e, n] = running
                    returns[t, p, e, n] = running + value
                    old_values[t, p, e, n] = old
        mean[p] = DECAY * made.normaliser.mean[p] + (1 - DECAY) * returns[:, p].mean()
        square[p] = DECAY * made.normaliser.square[p] + (1 - DECAY) * returns[:, p].square().mean()
        weight = DECAY * float(made.normaliser.weight[p]) + (1 - DECAY)
        centre = float(mean[p]) / weight
        returns[:, p] = (returns[:, p] - centre) / math.sqrt(float(square[p]) / weight - centre**2)
    return advantages, returns, old_values, mean, square


@pytest.mark.parametrize("name", ENDS)
def test_targets_are_the_loop_written_out(name: str) -> None:
    made, taken = mappo((1, 2)), rollout(name, members=2)
    expected = targets_by_hand(made, taken)
    found = made._targets(taken)
    for one, other in zip((*found, made.normaliser.mean, made.normaliser.square), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_normalised_returns_keep_their_scale() -> None:
    """Rewards in another unit teach the value network the same thing, once the normaliser has seen them."""
    small, large = mappo(), mappo()
    one = rollout()
    hundredfold = Rollout(one.observation, one.after, one.action, one.reward * 100, one.terminated, one.done)
    for made, taken in ((small, one), (large, hundredfold)):
        for _ in range(20):
            _, returns, _ = made._targets(taken)
        assert float(returns.mean()) == pytest.approx(0.0, abs=0.1)
        assert float(returns.std()) == pytest.approx(1.0, abs=0.1)


def gradient_by_hand(made: MAPPO, taken: Rollout) -> list[Tensor]:
    """Of one member's loss at the policy that acted: actor's weights and biases, then the value network's.

    L = -mean(log pi(a) * A~) - entropy * mean H + mean (V - R~)^2 / 2, where A~ = (A - mean A) / std A.
    """
    advantages, returns, *_ = (one.detach() for one in targets_by_hand(made, taken))
    actor, value = member(made.actor, 0), member(made.value, 0)
    standard = (advantages - advantages.mean()) / advantages.std(correction=0)
    rows = STEPS * ENVIRONMENTS
    policy = entropy = error = torch.zeros(())
    for t in range(STEPS):
        for e in range(ENVIRONMENTS):
            seen = taken.observation[t, 0, e]
            guess = forward(*value, seen.flatten())[0]
            for n in range(AGENTS):
                log_probs = torch.log_softmax(forward(*actor, torch.cat((seen[n], torch.eye(AGENTS)[n])))[0], -1)
                policy = policy - log_probs[taken.action[t, 0, e, n]] * standard[t, 0, e, n]
                entropy = entropy - (log_probs.exp() * log_probs).sum()
                error = error + 0.5 * (guess[n] - returns[t, 0, e, n]).square()
    loss = (policy - made.config.entropy * entropy + error) / (rows * AGENTS)
    parameters = [*actor[0], *actor[1], *value[0], *value[1]]
    return list(torch.autograd.grad(loss, parameters))


def learned(made: MAPPO, taken: Rollout, progress: float = 0.0) -> list[Tensor]:
    """What one update changes of the first member's parameters."""
    parameters = [*made.actor.parameters(), *made.value.parameters()]
    before = [one.detach()[0].clone() for one in parameters]
    made.update(taken, progress)
    return [one.detach()[0] - old for one, old in zip(parameters, before, strict=True)]


@pytest.mark.parametrize("entropy", [0.0, 2.0])
def test_one_step_goes_down_the_gradient_of_the_loss(entropy: float) -> None:
    """Adam's first step is -lr * g / (|g| + epsilon): with a large epsilon the gradient's size shows as well."""
    made, taken = mappo(entropy=entropy, learning_rate=0.1, adam_epsilon=1.0), rollout()
    gradients = gradient_by_hand(made, taken)
    for change, gradient in zip(learned(made, taken), gradients, strict=True):
        torch.testing.assert_close(change, -0.1 * gradient / (gradient.abs() + 1.0), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("anneal", "progress", "rate"), [(True, 0.0, 0.01), (True, 0.75, 0.0025), (True, 1.0, 0.0), (False, 0.75, 0.01)]
)
def test_the_learning_rate_falls_linearly_to_zero(anneal: bool, progress: float, rate: float) -> None:
    """With a tiny epsilon the size of Adam's first step is the learning rate, wherever there is a gradient."""
    made = mappo(anneal=anneal, learning_rate=0.01, adam_epsilon=1e-9)
    sizes = torch.cat([change.abs().flatten() for change in learned(made, rollout(), progress)])
    assert float(sizes.max()) == pytest.approx(rate, rel=1e-3)
    assert float((sizes > 0.9 * rate).float().mean()) > 0.5 or rate == 0


def entropy_of(made: MAPPO, taken: Rollout) -> float:
    with torch.no_grad():
        log_probs = torch.log_softmax(made.actor(made._with_id(taken.observation.transpose(0, 1))), -1)
    return float(-(log_probs.exp() * log_probs).sum(-1).mean())


def test_the_entropy_bonus_spreads_the_policy() -> None:
    taken = rollout()
    found = {}
    for weight in (0.0, 5.0):
        made = mappo(entropy=weight, learning_rate=0.01)
        for _ in range(20):
            made.update(taken, 0.0)
        found[weight] = entropy_of(made, taken)
    assert found[5.0] > found[0.0] + 0.1
    assert found[5.0] > 0.95 * math.log(ACTIONS)


def test_the_policy_does_not_feel_the_rewards_unit() -> None:
    """Standardised advantages: where the values are certain to be zero, a thousandfold reward is the same."""
    taken = rollout("ends inside and in the last row")
    changes = []
    for unit in (1.0, 1000.0):
        made = mappo(adam_epsilon=1.0)
        with torch.no_grad():
            made.value.weights[-1].zero_()
        made.normaliser.mean.zero_()
        scaled = Rollout(
            taken.observation, taken.after, taken.action, taken.reward * unit, taken.terminated, taken.done
        )
        changes.append(learned(made, scaled)[:6])
    for one, other in zip(*changes, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("minibatches", [1, 3])
def test_members_learn_what_they_would_learn_alone(minibatches: int) -> None:
    both, second = mappo((1, 2), minibatches=minibatches, epochs=2), mappo((2,), minibatches=minibatches, epochs=2)
    taken = rollout(members=2)
    alone = Rollout(*(getattr(taken, name)[:, 1:] for name in Rollout.__dataclass_fields__))
    both.update(taken, 0.1), second.update(alone, 0.1)
    for name, one in second.tensors():
        together = dict(both.tensors())[name]
        if together.dim():
            torch.testing.assert_close(together[1:], one, rtol=1e-4, atol=1e-5, msg=name)


def test_several_minibatches_see_every_row_once_with_its_own_action() -> None:
    """Rows are shuffled together: a batch's inputs, joint, action and targets are of the same step."""
    made, whole, taken = mappo(minibatches=4, epochs=2), mappo(), rollout()
    rows: dict[str, list[list[Tensor]]] = {"batches": [], "whole": []}
    made._step = lambda rate, *batch: rows["batches"].append(list(batch))  # type: ignore[method-assign]
    whole._step = lambda rate, *batch: rows["whole"].append(list(batch))  # type: ignore[method-assign]
    made.update(taken, 0.0), whole.update(taken, 0.0)
    assert len(rows["batches"]) == 8
    everything = torch.cat([one[0].flatten(1).float() for one in rows["whole"][0]], 1)
    for epoch in (rows["batches"][:4], rows["batches"][4:]):
        seen = torch.cat([torch.cat([one[0].flatten(1).float() for one in batch], 1) for batch in epoch])
        order = [torch.isclose(everything, row, atol=1e-5).all(1).nonzero().item() for row in seen]
        assert sorted(order) == list(range(STEPS * ENVIRONMENTS))
        assert order != sorted(order)
