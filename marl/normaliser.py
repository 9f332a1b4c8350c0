"""Running scale of the returns, one per member (value normalisation, Yu et al. 2022, section 5.1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from marlsmith.marl.losses import weighted_mean


@dataclass
class ValueNormaliser:
    """Debiased exponential averages of returns and their squares, each [P]; `weight` removes the start's bias."""

    mean: Tensor
    square: Tensor
    weight: Tensor
    decay: float

    @classmethod
    def fresh(cls, members: int, decay: float) -> ValueNormaliser:
        zeros = torch.zeros(members, dtype=torch.float64)  # the square of a mean is subtracted from a mean of squares
        return cls(zeros.clone(), zeros.clone(), zeros.clone(), decay)

    def update(self, returns: Tensor, weight: Tensor | None = None) -> None:
        """`returns` [P, R]: one batch, weighted by 1 - decay; `weight` [P, R] is 0 for rows that do not count."""
        returns = returns.double()
        means = weighted_mean(returns, weight), weighted_mean(returns.square(), weight)
        for store, batch in zip((self.mean, self.square), means, strict=True):
            store.mul_(self.decay).add_(batch, alpha=1 - self.decay)
        self.weight.mul_(self.decay).add_(1 - self.decay)

    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation, [P] each; 0 and 1 before the first update."""
        weight = self.weight.clamp(min=1e-8)
        mean = self.mean / weight
        deviation = (self.square / weight - mean.square()).clamp(min=1e-4).sqrt()
        deviation = torch.where(self.weight > 0, deviation, torch.ones_like(deviation))
        return mean.float(), deviation.float()

    def normalise(self, values: Tensor) -> Tensor:
        """[P, ...] from the reward's unit to the network's."""
        mean, deviation = self._aligned(values)
        return (values - mean) / deviation

    def denormalise(self, values: Tensor) -> Tensor:
        mean, deviation = self._aligned(values)
        return values * deviation + mean

    def _aligned(self, values: Tensor) -> tuple[Tensor, Tensor]:
        shape = (-1,) + (1,) * (values.dim() - 1)
        mean, deviation = self.moments()
        return mean.view(shape), deviation.view(shape)
