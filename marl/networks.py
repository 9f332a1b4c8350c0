"""Networks with the member axis first: P copies of one architecture, trained side by side by batched matmul."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class StackedMLP:
    """P multilayer perceptrons with ReLU between layers: weights [P, in, out], biases [P, 1, out]."""

    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]

    def __call__(self, x: Tensor) -> Tensor:
        """[P, R, in] -> [P, R, out]."""
        last = len(self.weights) - 1
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias, x, weight)
            if layer < last:
                x = torch.relu(x)
        return x

    def parameters(self) -> Iterator[Tensor]:
        yield from self.weights
        yield from self.biases

    def named(self, prefix: str) -> Iterator[tuple[str, Tensor]]:
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            yield f"{prefix}.{layer}.weight", weight
            yield f"{prefix}.{layer}.bias", bias


def stacked_mlp(sizes: Sequence[int], output_gain: float, generators: Sequence[torch.Generator]) -> StackedMLP:
    """Orthogonal start (gain sqrt(2), the last layer `output_gain`), each member from its own generator."""
    weights, biases = [], []
    for layer, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        gain = output_gain if layer == len(sizes) - 2 else 2**0.5
        members = []
        for generator in generators:
            weight = torch.empty(outputs, inputs)
            torch.nn.init.orthogonal_(weight, gain, generator=generator)
            members.append(weight.T)
        weights.append(torch.stack(members).contiguous().requires_grad_())
        biases.append(torch.zeros(len(generators), 1, outputs, requires_grad=True))
    return StackedMLP(tuple(weights), tuple(biases))
