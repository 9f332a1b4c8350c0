"""Losses as pure functions, one number per member: members lie on axis 0 and never mix."""

from __future__ import annotations

import torch
from torch import Tensor


def clipped_surrogate(log_prob: Tensor, old_log_prob: Tensor, advantage: Tensor, clip: float) -> Tensor:
    """PPO's policy loss (Schulman et al. 2017, Eq. 7), [P] for inputs [P, R].

    L_p = -mean_r min(rho * A, clamp(rho, 1 - clip, 1 + clip) * A), rho = exp(log_prob - old_log_prob)
    """
    ratio = torch.exp(log_prob - old_log_prob)
    return -torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage).mean(-1)


def categorical_entropy(log_probs: Tensor) -> Tensor:
    """H = -sum_a p log p, [...] for normalised log-probabilities [..., A]."""
    return -(log_probs.exp() * log_probs).sum(-1)


def huber(error: Tensor, delta: float) -> Tensor:
    """error^2 / 2 where |error| <= delta, else delta * (|error| - delta / 2); elementwise."""
    size = error.abs()
    return torch.where(size <= delta, 0.5 * error.square(), delta * (size - 0.5 * delta))


def clipped_value_loss(value: Tensor, old_value: Tensor, target: Tensor, clip: float, delta: float) -> Tensor:
    """MAPPO's value loss (Yu et al. 2022, Eq. 8 with Huber), [P] for inputs [P, R].

    L_p = mean_r max(huber(V - target), huber(V_old + clamp(V - V_old, -clip, clip) - target)).
    All three inputs must be in one scale: here the normalised one.
    """
    clipped = old_value + (value - old_value).clamp(-clip, clip)
    return torch.maximum(huber(value - target, delta), huber(clipped - target, delta)).mean(-1)


def standardised(advantage: Tensor) -> Tensor:
    """Zero mean and unit variance over each member's rows, [P, R]."""
    centred = advantage - advantage.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True).sqrt() + 1e-5)
