"""Adam for stacked networks: all parameters of a member in one row, so that a step is a handful of operations.

torch.optim would do, but it imports the compiler (0.8 s for each command) and loops over parameters.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

BETA_1, BETA_2 = 0.9, 0.999


class StackedAdam:
    """Adam (Kingma & Ba 2015, Algorithm 1) on parameters [P, ...], each member's gradient clipped by itself.

    `groups` are the networks: a member's gradient norm is limited for each group alone. The parameters are
    moved into one buffer [P, K]; the tensors given stay valid and share its memory.
    """

    def __init__(self, groups: Sequence[Sequence[Tensor]], epsilon: float, max_gradient_norm: float) -> None:
        self.epsilon = epsilon
        self.max_gradient_norm = max_gradient_norm
        self.parameters = [parameter for group in groups for parameter in group]
        self.values = torch.cat([parameter.detach().flatten(1) for parameter in self.parameters], 1)
        self.mean = torch.zeros_like(self.values)
        self.square = torch.zeros_like(self.values)
        self.counts = self.values.new_zeros(self.values.shape[1:])
        """Updates that each parameter has had: those that enter later, or stand still meanwhile, have had fewer."""
        self.slices: list[slice] = []
        stop = 0
        for group in groups:
            first = stop
            for parameter in group:
                start, stop = stop, stop + parameter[0].numel()
                parameter.data = self.values[:, start:stop].view(parameter.shape)
            self.slices.append(slice(first, stop))

    def step(self, loss: Tensor, learning_rate: float, frozen: int | None = None) -> Tensor:
        """One update down the gradient of a scalar; the gradient norms before clipping, [P, groups].

        The group numbered `frozen` stays as it is: without its momentum it would go on as before.
        """
        found = torch.autograd.grad(loss, self.parameters, materialize_grads=True)
        gradient = torch.cat([one.flatten(1) for one in found], 1)
        norms = torch.stack([gradient[:, part].norm(dim=1) for part in self.slices], 1)
        scale = (self.max_gradient_norm / (norms + 1e-6)).clamp(max=1.0)
        for number, part in enumerate(self.slices):
            gradient[:, part] *= scale[:, number : number + 1]
        kept = None if frozen is None else [x[..., self.slices[frozen]].clone() for x in self._moving]
        self.counts += 1
        first, second = (-torch.expm1(self.counts * math.log(beta)) for beta in (BETA_1, BETA_2))
        self.mean.lerp_(gradient, 1 - BETA_1)
        self.square.mul_(BETA_2).addcmul_(gradient, gradient, value=1 - BETA_2)
        deviation = (self.square / second).sqrt_().add_(self.epsilon).mul_(first)
        self.values.addcdiv_(self.mean, deviation, value=-learning_rate)
        if frozen is not None and kept is not None:
            for tensor, before in zip(self._moving, kept, strict=True):
                tensor[..., self.slices[frozen]] = before
        return norms

    @property
    def _moving(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.values, self.mean, self.square, self.counts

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """What must be saved besides the parameters, for each of them in its shape."""
        stop = 0
        for number, parameter in enumerate(self.parameters):
            start, stop = stop, stop + parameter[0].numel()
            yield f"adam.mean.{number}", self.mean[:, start:stop].view(parameter.shape)
            yield f"adam.square.{number}", self.square[:, start:stop].view(parameter.shape)
            yield f"adam.count.{number}", self.counts[start:stop].view(parameter.shape[1:])
