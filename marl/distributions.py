"""What a policy network's outputs mean. Outputs lie on axis 1, before the rows: [P, O, ...]."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

UNAVAILABLE = -1e9
"""The logit of an action that may not be chosen; infinity would make NaN of 0 * infinity in the entropy."""


class Distribution(Protocol):
    def sample(self, noise: Tensor) -> Tensor:
        """A draw for each row from uniform noise [P, A, ...]; actions as a rollout has them."""
        ...

    def mode(self) -> Tensor: ...

    def log_prob(self, action: Tensor) -> Tensor:
        """[P, ...]"""
        ...

    def entropy(self) -> Tensor:
        """[P, ...]"""
        ...


@dataclass(frozen=True)
class Categorical:
    """One of A actions: logits [P, A, ...]; actions are int64 [P, ...]."""

    logits: Tensor

    @classmethod
    def of(cls, logits: Tensor, available: Tensor | None) -> Categorical:
        """`available` bool [P, ..., A] as environments show it."""
        if available is not None:
            logits = logits.masked_fill(~available.movedim(-1, 1), UNAVAILABLE)
        return cls(logits)

    @cached_property
    def log_probs(self) -> Tensor:
        return torch.log_softmax(self.logits, 1)

    def sample(self, noise: Tensor) -> Tensor:
        # The first of competing exponential clocks, -log(u) / p: Gumbel's trick with fewer logarithms.
        clocks = torch.log(noise.clamp(1e-10, 1 - 1e-7)) / torch.softmax(self.logits, 1).clamp(min=1e-30)
        return clocks.max(1).indices  # argmax over an inner axis takes six times as long

    def mode(self) -> Tensor:
        return self.logits.max(1).indices

    def log_prob(self, action: Tensor) -> Tensor:
        return self.log_probs.gather(1, action.unsqueeze(1)).squeeze(1)

    def entropy(self) -> Tensor:
        """H = -sum_a p log p"""
        return -(self.log_probs.exp() * self.log_probs).sum(1)


@dataclass(frozen=True)
class Gaussian:
    """A numbers at once: means [P, A, ...], log standard deviations that fit them; actions are [P, ..., A]."""

    mean: Tensor
    log_deviation: Tensor

    def sample(self, noise: Tensor) -> Tensor:
        normal = torch.erfinv(2 * noise.clamp(1e-6, 1 - 1e-6) - 1) * 2**0.5
        return (self.mean + self.log_deviation.exp() * normal).movedim(1, -1)

    def mode(self) -> Tensor:
        return self.mean.movedim(1, -1)

    def log_prob(self, action: Tensor) -> Tensor:
        distance = (action.movedim(-1, 1) - self.mean) * torch.exp(-self.log_deviation)
        return (-0.5 * distance.square() - self.log_deviation - 0.5 * math.log(2 * math.pi)).sum(1)

    def entropy(self) -> Tensor:
        """H = sum_a log sigma_a + log(2 pi e) / 2"""
        return (self.log_deviation + 0.5 * math.log(2 * math.pi * math.e)).expand_as(self.mean).sum(1)
