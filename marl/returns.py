"""Returns and advantages as pure functions of time-major tensors."""

from __future__ import annotations

import torch
from torch import Tensor


def generalised_advantages(
    rewards: Tensor,
    values: Tensor,
    next_values: Tensor,
    terminated: Tensor,
    done: Tensor,
    gamma: float,
    lam: float,
) -> Tensor:
    """GAE (Schulman et al. 2016, Eq. 16) that bootstraps through time limits.

    delta_t = r_t + gamma * (1 - terminated_t) * V(s_{t+1}) - V(s_t)
    A_t = delta_t + gamma * lam * (1 - done_t) * A_{t+1}

    Args:
        rewards: r_t, [T, ...].
        values: V(s_t), [T, ...], in the unit of the rewards (denormalised).
        next_values: V(s_{t+1}) of the state that step t led to, before any reset, [T, ...].
        terminated: whether s_{t+1} ends the task for good, [T, ...] bool; a time limit does not.
        done: whether an episode ended at t for whatever reason, [T, ...] bool.

    Returns:
        A_t, [T, ...]. The return that the value network is to learn is A_t + V(s_t).
    """
    if not rewards.shape == values.shape == next_values.shape == terminated.shape == done.shape:
        raise ValueError(
            f"shapes differ: rewards {list(rewards.shape)}, values {list(values.shape)}, next_values "
            f"{list(next_values.shape)}, terminated {list(terminated.shape)}, done {list(done.shape)}"
        )
    delta = rewards + gamma * next_values * ~terminated - values
    carry = gamma * lam * ~done
    advantages = torch.empty_like(rewards)
    running = torch.zeros_like(rewards[0])
    for t in reversed(range(rewards.shape[0])):
        running = delta[t] + carry[t] * running
        advantages[t] = running
    return advantages
