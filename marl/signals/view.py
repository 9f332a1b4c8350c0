"""What reward code sees: a batch of transitions with the task's fields by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from marlsmith.marl.tasks.base import State

COMMON_FIELDS: dict[str, tuple[str, str]] = {
    "obs": ("[B, N, D]", "observations after the step, without features"),
    "prev_obs": ("[B, N, D]", "observations that were acted on"),
    "action": ("[B, N] int64, or [B, N, A]", "what the agents did: an index, or numbers in -1..1"),
    "reward": ("[B, N]", "the native reward of the step"),
    "time": ("[B]", "share of the episode that has passed, 0..1"),
    "training_progress": ("[B]", "share of the training that has passed, 0..1: for annealing"),
    "gamma": ("a number", "the discount"),
    "prev": ("a state", "the fields, obs and time of one step before"),
}
"""What every task's `state` has besides the fields of its card: shape and meaning."""


class StateView:
    """What reward code sees as `state`: the task's fields now, and as `state.prev` one step before."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self.__dict__.update(fields)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"state has no field {name!r}; it has {', '.join(self.__dict__)}")

    def clone(self) -> StateView:
        return StateView(
            {
                name: value.clone() if isinstance(value, Tensor | StateView) else value
                for name, value in vars(self).items()
            }
        )

    def rows(self, index: Tensor | slice) -> StateView:
        """The same view of some rows of B."""
        return StateView(
            {
                name: value.rows(index)
                if isinstance(value, StateView)
                else value[index]
                if isinstance(value, Tensor)
                else value
                for name, value in vars(self).items()
            }
        )


@dataclass(frozen=True)
class Transitions:
    """Steps in the order they were taken, each tensor [T, P, E, ...]: `before` led to `after` by `action`."""

    before: State
    after: State
    obs_before: Tensor
    obs_after: Tensor
    action: Tensor
    reward: Tensor
    clock: Tensor
    """Steps of the episode taken so far, this one included, int64 [T, P, E]."""


def transition_view(steps: Transitions, horizon: int, training_progress: float, gamma: float) -> StateView:
    """All transitions as one batch, B = T * P * E: one call of a reward function serves a whole rollout."""
    time = _batch(steps.clock).float() / horizon
    common: dict[str, Any] = {"training_progress": torch.full_like(time, training_progress), "gamma": gamma}
    obs, next_obs = _batch(steps.obs_before), _batch(steps.obs_after)
    then = {name: _batch(value) for name, value in steps.before.items()}
    now = {name: _batch(value) for name, value in steps.after.items()}
    # What belongs to the step and not to a state (action, reward) has no meaning one state earlier.
    prev = StateView({**common, **then, "obs": obs, "time": time - 1 / horizon})
    taken = {"action": _batch(steps.action), "reward": _batch(steps.reward), "prev_obs": obs}
    return StateView({**common, **now, **taken, "obs": next_obs, "time": time, "prev": prev})


def _batch(x: Tensor) -> Tensor:
    """[T, P, E, ...] -> [B, ...]; numbers as float32, whatever the simulator counts in.

    A copy: candidate code could write into what is learned from, and into what the simulator goes on with.
    """
    rows = x.flatten(0, 2)
    return rows.to(torch.float32 if rows.is_floating_point() else rows.dtype, copy=True)
