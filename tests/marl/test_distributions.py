"""Draws follow the distribution that they are told to, and what is unavailable is as if it were not there."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from marlsmith.marl.distributions import Categorical, Gaussian

ROWS = 20_000


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def logits(seed: int, members: int = 2, actions: int = 5, rows: int = 7) -> torch.Tensor:
    return 2 * torch.randn(members, actions, rows, generator=draws(seed))


@pytest.mark.parametrize("masked", [False, True])
def test_gumbel_draws_follow_the_softmax(masked: bool) -> None:
    """Pearson's chi-square of 20,000 draws for each of two members; a right one fails once in 10,000 trials."""
    of = logits(1, rows=1).expand(2, 5, ROWS)
    available = torch.tensor([True, True, False, True, False]) if masked else torch.ones(5, dtype=torch.bool)
    policy = Categorical.of(of, available.expand(2, ROWS, 5) if masked else None)
    drawn = policy.sample(torch.rand(2, 5, ROWS, generator=draws(2)))
    for member in range(2):
        expected = torch.softmax(of[member, available, 0].double(), 0) * ROWS
        counts = torch.bincount(drawn[member], minlength=5)
        assert int(counts[~available].sum()) == 0
        assert stats.chisquare(counts[available].numpy(), expected.numpy()).pvalue > 1e-4


def test_members_and_rows_draw_independently() -> None:
    """The noise of one row decides that row alone."""
    of, noise = logits(1), torch.rand(2, 5, 7, generator=draws(2))
    drawn = Categorical.of(of, None).sample(noise)
    other = noise.clone()
    other[1, :, 3] = other[1, :, 3].flip(0)
    again = Categorical.of(of, None).sample(other)
    same = torch.ones(2, 7, dtype=torch.bool)
    same[1, 3] = False
    assert torch.equal(drawn[same], again[same])


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    scale=st.sampled_from([0.0, 1.0, 100.0, 1e4]),
    extreme=st.sampled_from([None, 0.0, 1.0]),
)
def test_what_is_unavailable_is_never_chosen(seed: int, scale: float, extreme: float | None) -> None:
    """However much the network prefers it, and whatever the noise: the extreme ones favour what is unavailable."""
    available = torch.rand(2, 7, 5, generator=draws(seed)) < 0.5
    available[..., seed % 5] = True
    of = torch.where(available.movedim(-1, 1), -scale, scale) + logits(seed)
    noise = torch.rand(2, 5, 7, generator=draws(seed + 1))
    if extreme is not None:
        noise = torch.where(available.movedim(-1, 1), 1 - extreme, extreme)
    policy = Categorical.of(of, available)
    for chosen in (policy.sample(noise), policy.mode()):
        assert bool(available.gather(2, chosen.unsqueeze(-1)).all())


def test_an_unavailable_action_gets_no_gradient() -> None:
    """Nor does it change the probabilities or the entropy of the others: exactly as if it were not there."""
    available = torch.tensor([True, False, True, True, False]).expand(2, 7, 5)
    of = logits(3).requires_grad_()
    few = of.detach()[:, [0, 2, 3]].requires_grad_()
    whole, left = Categorical.of(of, available), Categorical.of(few, None)
    chosen = torch.randint(0, 3, (2, 7), generator=draws(4))
    action = torch.tensor([0, 2, 3])[chosen]
    torch.testing.assert_close(whole.log_prob(action), left.log_prob(chosen))
    torch.testing.assert_close(whole.entropy(), left.entropy())
    losses = (p.log_prob(a).sum() + 3 * p.entropy().square().sum() for p, a in ((whole, action), (left, chosen)))
    (found,), (expected,) = (torch.autograd.grad(x, y) for x, y in zip(losses, (of, few), strict=True))
    assert torch.equal(found[:, [1, 4]], torch.zeros(2, 2, 7))
    torch.testing.assert_close(found[:, [0, 2, 3]], expected)


def test_a_choice_of_one_is_certain() -> None:
    available = torch.tensor([False, False, True, False, False]).expand(2, 7, 5)
    policy = Categorical.of(logits(3), available)
    assert torch.equal(policy.log_prob(torch.full((2, 7), 2)), torch.zeros(2, 7))
    assert torch.equal(policy.entropy(), torch.zeros(2, 7))


def test_a_categorical_equals_torchs() -> None:
    of = logits(5)
    found, expected = Categorical.of(of, None), torch.distributions.Categorical(logits=of.movedim(1, -1))
    action = torch.randint(0, 5, (2, 7), generator=draws(6))
    torch.testing.assert_close(found.log_prob(action), expected.log_prob(action))
    torch.testing.assert_close(found.entropy(), expected.entropy())
    assert torch.equal(found.mode(), expected.mode)
    uniform = Categorical.of(torch.zeros(1, 4, 1), None)
    assert float(uniform.entropy()) == pytest.approx(math.log(4))
    certain = Categorical.of(torch.tensor([[[100.0], [0.0]]]), None)
    assert float(certain.entropy()) == pytest.approx(0.0, abs=1e-6)


def test_a_gaussian_equals_torchs() -> None:
    mean, deviation = logits(7, actions=3), torch.tensor([[0.3, -1.0, 0.0], [-0.5, 0.2, 1.0]]).view(2, 3, 1)
    found = Gaussian(mean, deviation)
    expected = torch.distributions.Normal(mean.movedim(1, -1), deviation.exp().expand_as(mean).movedim(1, -1))
    action = torch.randn(2, 7, 3, generator=draws(8))
    torch.testing.assert_close(found.log_prob(action), expected.log_prob(action).sum(-1))
    torch.testing.assert_close(found.entropy(), expected.entropy().sum(-1))
    assert torch.equal(found.mode(), mean.movedim(1, -1))


def test_gaussian_draws_are_normal_and_independent() -> None:
    """Kolmogorov and Smirnov's distance of 20,000 draws; a right one fails once in 10,000 trials."""
    mean, deviation = torch.tensor([1.0, -2.0]).view(1, 2, 1), torch.tensor([0.5, 2.0]).log().view(1, 2, 1)
    noise = torch.rand(1, 2, ROWS, generator=draws(9))
    drawn = Gaussian(mean.expand(1, 2, ROWS), deviation).sample(noise)[0].double()
    for component, (centre, spread) in enumerate(((1.0, 0.5), (-2.0, 2.0))):
        assert stats.kstest(drawn[:, component].numpy(), "norm", (centre, spread)).pvalue > 1e-4
    assert abs(float(torch.corrcoef(drawn.T)[0, 1])) < 4 / ROWS**0.5


def test_the_ends_of_the_noise_give_finite_actions() -> None:
    noise = torch.tensor([0.0, 1.0]).view(1, 1, 2)
    drawn = Gaussian(torch.zeros(1, 1, 2), torch.zeros(1, 1, 1)).sample(noise)
    assert bool((drawn.abs() < 6).all())
    assert float(drawn.sum()) == pytest.approx(0.0, abs=0.1)
