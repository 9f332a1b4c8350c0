"""Golden numbers, computed by hand."""

from __future__ import annotations

import pytest
import torch

from marlsmith.marl.losses import (
    clipped_surrogate,
    clipped_value_loss,
    huber,
    squared_error,
    standardised,
    weighted_mean,
)
from marlsmith.marl.returns import generalised_advantages


def column(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32)


def test_gae_of_one_episode() -> None:
    """gamma .5, lambda .5: delta = (1 + .5*2 - 1, 2 + .5*4 - 2, 3 + .5*8 - 4) = (1, 2, 3)."""
    done = torch.tensor([False, False, True])
    advantages = generalised_advantages(
        column(1, 2, 3), column(1, 2, 4), column(2, 4, 8), torch.zeros(3, dtype=torch.bool), done, 0.5, 0.5
    )
    assert advantages.tolist() == [1 + 0.25 * (2 + 0.25 * 3), 2 + 0.25 * 3, 3.0]


def test_gae_bootstraps_through_a_time_limit_and_not_through_a_termination() -> None:
    done = torch.tensor([True, True])
    for terminated, expected in ((False, 1 + 0.9 * 10 - 2), (True, 1 - 2)):
        ended = torch.tensor([terminated, terminated])
        found = generalised_advantages(column(1, 1), column(2, 2), column(10, 10), ended, done, 0.9, 0.95)
        assert found.tolist() == pytest.approx([expected, expected])


def test_gae_does_not_leak_over_the_end_of_an_episode() -> None:
    rewards, values, following = column(0, 0, 0), column(0, 0, 0), column(0, 0, 0)
    done = torch.tensor([False, True, False])
    rewards[2] = 100
    advantages = generalised_advantages(rewards, values, following, torch.zeros_like(done), done, 0.99, 0.95)
    assert advantages.tolist() == [0, 0, 100]


def test_gae_with_lambda_one_is_the_discounted_return() -> None:
    rewards = torch.randn(10, 2, 3, generator=torch.Generator().manual_seed(0))
    values = torch.randn(10, 2, 3, generator=torch.Generator().manual_seed(1))
    following = torch.cat((values[1:], torch.zeros(1, 2, 3)))
    done = torch.zeros(10, 2, 3, dtype=torch.bool)
    done[-1] = True
    advantages = generalised_advantages(rewards, values, following, done, done, 0.9, 1.0)
    returns = torch.zeros(2, 3)
    for t in reversed(range(10)):
        returns = rewards[t] + 0.9 * returns
        torch.testing.assert_close(advantages[t], returns - values[t])


def test_gae_refuses_shapes_that_would_broadcast() -> None:
    with pytest.raises(ValueError, match="shapes differ"):
        generalised_advantages(
            column(1, 2),
            column(1),
            column(1, 2),
            torch.zeros(2, dtype=torch.bool),
            torch.zeros(2, dtype=torch.bool),
            0.9,
            1,
        )


def test_clipped_surrogate() -> None:
    """Ratios 2, 2, .5, .5 with advantages 1, -1, 1, -1 and clip .2: min picks 1.2, -2, .5, -.8."""
    log_prob = torch.log(torch.tensor([[2.0, 2.0, 0.5, 0.5]]))
    advantage = torch.tensor([[1.0, -1.0, 1.0, -1.0]])
    loss = clipped_surrogate(log_prob, torch.zeros(1, 4), advantage, 0.2)
    assert loss.tolist() == pytest.approx([-(1.2 - 2 + 0.5 - 0.8) / 4])


def test_huber_and_value_clipping() -> None:
    assert huber(torch.tensor([0.5, 3.0, -3.0]), 1.0).tolist() == [0.125, 2.5, 2.5]
    # V moved from 0 to 1, clipped to .2, target 0: the unclipped error is larger and counts.
    loss = clipped_value_loss(torch.tensor([[1.0]]), torch.tensor([[0.0]]), torch.tensor([[0.0]]), 0.2, 10.0)
    assert loss.tolist() == [0.5]
    # Target 1: V has arrived, but the clipped value has not; the larger error counts again.
    loss = clipped_value_loss(torch.tensor([[1.0]]), torch.tensor([[0.0]]), torch.tensor([[1.0]]), 0.2, 10.0)
    assert loss.tolist() == pytest.approx([0.5 * 0.8**2])


def test_members_do_not_mix() -> None:
    """Each member's loss is what it would be alone."""
    generator = torch.Generator().manual_seed(0)
    log_prob, old, advantage = (torch.randn(3, 50, generator=generator) * 0.1 for _ in range(3))
    together = clipped_surrogate(log_prob, old, advantage, 0.2)
    for member in range(3):
        rows = slice(member, member + 1)
        alone = clipped_surrogate(log_prob[rows], old[rows], advantage[rows], 0.2)
        torch.testing.assert_close(together[rows], alone)
    scaled = standardised(advantage * torch.tensor([[1.0], [10.0], [100.0]]))
    torch.testing.assert_close(scaled.mean(-1), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(scaled.square().mean(-1).sqrt(), torch.ones(3), atol=1e-3, rtol=0)


def test_a_weighted_mean_is_of_the_rows_that_count() -> None:
    values, weight = torch.tensor([[1.0, 2.0, 99.0], [4.0, 6.0, 8.0]]), torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]])
    assert weighted_mean(values, weight).tolist() == [1.5, 6.0]
    assert weighted_mean(values, None).tolist() == [34.0, 6.0]
    assert weighted_mean(values, torch.zeros(2, 3)).tolist() == [0.0, 0.0]


def test_rows_that_do_not_count_change_no_loss() -> None:
    """Each loss with weights is the one of the rows that count, alone."""
    draws = torch.Generator().manual_seed(0)
    one, two, three = (torch.randn(2, 6, generator=draws) for _ in range(3))
    weight = torch.tensor([1.0, 1.0, 0.0, 1.0, 0.0, 0.0]).expand(2, 6)
    counts = weight[0] > 0
    some = [x[:, counts] for x in (one, two, three)]
    torch.testing.assert_close(clipped_surrogate(one, two, three, 0.2, weight), clipped_surrogate(*some, 0.2))
    torch.testing.assert_close(
        clipped_value_loss(one, two, three, 0.2, 1.0, weight), clipped_value_loss(*some, 0.2, 1.0)
    )
    torch.testing.assert_close(squared_error(one, two, weight > 0), squared_error(*some[:2]))
    torch.testing.assert_close(standardised(one, weight)[:, counts], standardised(some[0]))


def test_squared_error() -> None:
    value, target = torch.tensor([[1.0, 5.0]]), torch.tensor([[2.0, 2.0]])
    assert squared_error(value, target).tolist() == [(0.5 + 4.5) / 2]
    assert squared_error(value, target, torch.tensor([[True, False]])).tolist() == [0.5]
    assert squared_error(value, target, torch.tensor([[False, False]])).tolist() == [0.0]
