"""Stacked networks are P independent networks; the normaliser is its definition."""

from __future__ import annotations

import torch

from marlsmith.marl.networks import clip_gradients_per_member, stacked_mlp
from marlsmith.marl.normaliser import ValueNormaliser


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def test_a_stack_equals_separate_networks() -> None:
    stack = stacked_mlp((6, 16, 16, 3), 1.0, generators(1, 2))
    x = torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(0))
    for member in range(2):
        hidden = x[member]
        for layer in range(3):
            hidden = hidden @ stack.weights[layer][member] + stack.biases[layer][member]
            hidden = hidden.relu() if layer < 2 else hidden
        torch.testing.assert_close(stack(x)[member], hidden)


def test_a_member_starts_from_its_own_seed() -> None:
    stack, alone = stacked_mlp((6, 16, 3), 1.0, generators(1, 2)), stacked_mlp((6, 16, 3), 1.0, generators(2))
    for together, single in zip(stack.weights, alone.weights, strict=True):
        assert torch.equal(together[1:], single)
        assert not torch.equal(together[0], together[1])


def test_the_start_is_orthogonal() -> None:
    weight = stacked_mlp((8, 8, 4), 0.01, generators(3)).weights
    torch.testing.assert_close(weight[0][0].T @ weight[0][0], 2 * torch.eye(8), atol=1e-5, rtol=0)
    torch.testing.assert_close(weight[1][0].T @ weight[1][0], 1e-4 * torch.eye(4), atol=1e-7, rtol=0)


def test_gradients_are_clipped_for_each_member_alone() -> None:
    small = torch.full((2, 3, 4), 0.01, requires_grad=True)
    bias = torch.zeros(2, 1, 4, requires_grad=True)
    small.grad, bias.grad = torch.ones(2, 3, 4), torch.zeros(2, 1, 4)
    small.grad[1] *= 100
    norms = clip_gradients_per_member([small, bias], 10.0)
    torch.testing.assert_close(norms, torch.tensor([12**0.5, 100 * 12**0.5]))
    assert torch.equal(small.grad[0], torch.ones(3, 4))
    torch.testing.assert_close(small.grad[1].norm(), torch.tensor(10.0), atol=1e-4, rtol=0)


def test_the_normaliser_is_debiased_and_its_own_inverse() -> None:
    normaliser = ValueNormaliser.fresh(2, decay=0.9)
    values = torch.tensor([[1.0, 3.0], [100.0, 300.0]])
    assert torch.equal(normaliser.denormalise(values), values)
    normaliser.update(values)
    mean, deviation = normaliser.moments()
    torch.testing.assert_close(mean, torch.tensor([2.0, 200.0]))
    torch.testing.assert_close(deviation, torch.tensor([1.0, 100.0]), atol=1e-2, rtol=0)
    torch.testing.assert_close(normaliser.denormalise(normaliser.normalise(values)), values)
    torch.testing.assert_close(normaliser.normalise(values)[0], normaliser.normalise(values)[1], atol=1e-4, rtol=0)
