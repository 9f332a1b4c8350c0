"""From the task's observation to what the policy sees: the signal's features appended, with history if wanted."""

from __future__ import annotations

import torch
from torch import Tensor

from marlsmith.marl.signals.program import HISTORY, Program
from marlsmith.schemas import SignalError


class Observer:
    """Appends features to observations [P, E, N, D] -> [P, E, N, D + K]. Keeps the history of its environments."""

    def __init__(self, program: Program | None) -> None:
        self.program = program if program is not None and program.enhance is not None else None
        self.history: Tensor | None = None
        self._sum = torch.zeros(())

    def restart(self, observation: Tensor, where: Tensor | None = None) -> Tensor:
        """A first observation; history is zero before it. `where` [P, E] restarts some environments only."""
        if self.program is not None and self.program.wants_history:
            fresh = observation.new_zeros(*observation.shape[:2], HISTORY, *observation.shape[2:])
            keep = self.history
            if where is not None and keep is not None:
                # `observe` has pushed a row for all: the others' must not be pushed twice.
                fresh[:, :, -1] = observation
                self.history = torch.where(where[..., None, None, None], fresh, keep)
                return self.enhanced(observation)
            self.history = fresh
        return self.observe(observation)

    def observe(self, observation: Tensor) -> Tensor:
        """The next observation of every environment."""
        if self.history is not None:
            self.history = torch.cat((self.history[:, :, 1:], observation.unsqueeze(2)), 2)
        return self.enhanced(observation)

    def enhanced(self, observation: Tensor) -> Tensor:
        if self.program is None:
            return observation
        members, environments = observation.shape[:2]
        # Copies: candidate code could write into what the policy is about to see.
        history = None if self.history is None else self.history.flatten(0, 1).clone()
        features = self.program.features(observation.flatten(0, 1).clone(), history)
        self._sum = self._sum + features.sum()
        return torch.cat((observation, features.unflatten(0, (members, environments))), -1)

    def require_finite(self, steps: int | None = None) -> None:
        """Raises SignalError where a feature was NaN or infinite since the last call, `steps` into a training."""
        found, self._sum = self._sum, torch.zeros(())
        if not bool(torch.isfinite(found)):
            when = "in evaluation" if steps is None else f"within {steps} steps"
            raise SignalError(f"enhance_observation returned NaN or infinity {when}", "dynamic")
