"""Losses as pure functions, one number per member: members lie on axis 0 and never mix.

`weight` [P, R] says how much each row counts (0 for an agent that took no part); None counts all alike.
"""

from __future__ import annotations

import torch
from torch import Tensor


def weighted_mean(values: Tensor, weight: Tensor | None) -> Tensor:
    """Mean over each member's rows, [P] for [P, R]."""
    if weight is None:
        return values.mean(-1)
    return (values * weight).sum(-1) / weight.sum(-1).clamp(min=1.0)


def clipped_surrogate(
    log_prob: Tensor, old_log_prob: Tensor, advantage: Tensor, clip: float, weight: Tensor | None = None
) -> Tensor:
    """PPO's policy loss (Schulman et al. 2017, Eq. 7), [P] for inputs [P, R].

    L_p = -mean_r min(rho * A, clamp(rho, 1 - clip, 1 + clip) * A), rho = exp(log_prob - old_log_prob)
    """
    ratio = torch.exp(log_prob - old_log_prob)
    return -weighted_mean(torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage), weight)


def huber(error: Tensor, delta: float) -> Tensor:
    """error^2 / 2 where |error| <= delta, else delta * (|error| - delta / 2); elementwise."""
    size = error.abs()
    return torch.where(size <= delta, 0.5 * error.square(), delta * (size - 0.5 * delta))


def clipped_value_loss(
    value: Tensor, old_value: Tensor, target: Tensor, clip: float, delta: float, weight: Tensor | None = None
) -> Tensor:
    """MAPPO's value loss (Yu et al. 2022, Eq. 8 with Huber), [P] for inputs [P, R].

    L_p = mean_r max(huber(V - target), huber(V_old + clamp(V - V_old, -clip, clip) - target)).
    All three inputs must be in one scale: here the normalised one.
    """
    clipped = old_value + (value - old_value).clamp(-clip, clip)
    return weighted_mean(torch.maximum(huber(value - target, delta), huber(clipped - target, delta)), weight)


def standardised(advantage: Tensor, weight: Tensor | None = None) -> Tensor:
    """Zero mean and unit variance over each member's rows that count, [P, R]."""
    centred = advantage - weighted_mean(advantage, weight).unsqueeze(-1)
    return centred / (weighted_mean(centred.square(), weight).unsqueeze(-1).sqrt() + 1e-5)


def squared_error(value: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """L_p = mean_r (value - target)^2 / 2, [P] for inputs [P, R].

    Squared and not Huber's for temporal differences: its minimum is the expected return whatever the unit of
    the reward, which is for the signal's author to choose; the limit of the gradient's norm holds outliers.
    """
    return weighted_mean((value - target).square() / 2, weight)
