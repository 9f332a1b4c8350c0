"""Stacked networks are P independent networks; the normaliser is its definition."""

from __future__ import annotations

import torch

from marlsmith.marl.networks import stacked_mlp
from marlsmith.marl.normaliser import ValueNormaliser
from marlsmith.marl.optimiser import StackedAdam


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


def test_adam_equals_torchs_for_each_member() -> None:
    """Three steps on random gradients, one member's so large that it is clipped."""
    draws = torch.Generator().manual_seed(0)
    start = [torch.randn(2, 3, 4, generator=draws), torch.randn(2, 1, 4, generator=draws)]
    stacked = [tensor.clone().requires_grad_() for tensor in start]
    optimiser = StackedAdam([stacked], epsilon=1e-5, max_gradient_norm=10.0)
    alone = [[tensor[member].clone().requires_grad_() for tensor in start] for member in range(2)]
    references = [torch.optim.Adam(parameters, lr=0.01, eps=1e-5) for parameters in alone]
    for _ in range(3):
        gradients = [torch.randn(tensor.shape, generator=draws) for tensor in start]
        for gradient in gradients:
            gradient[1] *= 100
        optimiser.step(sum((p * g).sum() for p, g in zip(stacked, gradients, strict=True)), 0.01)
        for member, reference in enumerate(references):
            for parameter, gradient in zip(alone[member], gradients, strict=True):
                parameter.grad = gradient[member].clone()
            torch.nn.utils.clip_grad_norm_(alone[member], 10.0)
            reference.step()
    for number, tensor in enumerate(stacked):
        for member in range(2):
            torch.testing.assert_close(tensor[member], alone[member][number], atol=1e-6, rtol=1e-5)


def test_each_network_is_clipped_by_its_own_norm() -> None:
    small, large = torch.zeros(1, 1, 4, requires_grad=True), torch.zeros(1, 1, 4, requires_grad=True)
    optimiser = StackedAdam([[small], [large]], epsilon=1e-5, max_gradient_norm=10.0)
    norms = optimiser.step(small.sum() + 100 * large.sum(), 0.01)
    assert norms.tolist() == [[2.0, 200.0]]
    # After one step the mean is a tenth of the clipped gradient: ones, and a vector of length ten.
    torch.testing.assert_close(optimiser.mean[0, :4], torch.full((4,), 0.1))
    torch.testing.assert_close(optimiser.mean[0, 4:].norm(), torch.tensor(1.0), atol=1e-4, rtol=0)


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
