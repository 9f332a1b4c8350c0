"""Whether the reward of a state follows from that state alone, asked again and again while a policy trains.

A check before the training sees sampled states. What code does only in a training (at its number of rows, in the order
of its steps, late in it) shows there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from marlsmith.marl.seeding import generator
from marlsmith.marl.signals.program import Program
from marlsmith.marl.signals.view import StateView
from marlsmith.schemas import SignalError

PART = 8
"""One row in so many is asked for again, of each rollout."""
SCALAR_PART = 64
"""The same where a function is called for each environment alone."""
WHOLE_EVERY = 8
"""In one rollout of so many, by chance, it is as many rows as the rollout has: then rounding is no excuse."""
TURNED = 50
"""Rounding may turn a comparison in one row of so many, and in one row always; a signal that follows the number of
rows does so in more."""

SAME_SIZE, OTHER_SIZE, ACCELERATED = 1e-6, 1e-5, 1e-4
"""What rounding may come to, of the largest reward or of 1: in batches of one size where code picks rows, in batches of
other sizes, and where an accelerator adds up in another order each time."""


@dataclass(frozen=True)
class Again:
    """Some rows of a rollout in another order, some of them twice, to be asked for once more.

    Which ones is drawn from the seeds and the steps so far, by a generator of its own: a training is the same with
    and without, and the code does not know.
    """

    program: Program
    steps: int
    index: Tensor
    view: StateView

    @classmethod
    def picked(cls, view: StateView, program: Program, seeds: Sequence[int], steps: int) -> Again:
        """To be called before candidate code has the view in its hands, after so many steps of a training."""
        rows = len(view.time)
        draws = generator(seeds[0], f"rows to ask for again, after {steps} steps of {list(seeds)}")
        if program.scalar:
            many = -(-rows // SCALAR_PART)
        else:
            whole = int(torch.randint(WHOLE_EVERY, (), generator=draws)) == 0
            many = rows if whole else -(-rows // PART)
        index = torch.randint(rows, (many,), generator=draws)
        return cls(program, steps, index, view.rows(index))

    def require_same(self, shaped: Tensor, view: Callable[[], StateView]) -> None:
        """Raises SignalError where the rows do not get the reward that `shaped` [B, N] gave them.

        `view` makes the rollout's view anew, for a second look.
        """
        index, rows = self.index, len(shaped)
        if len(index) == rows:
            same = self._same_size(self.view, index, shaped)
        else:
            found = self._reward(self.view)
            wrong = ~_close(found, shaped[index], OTHER_SIZE)
            same = not bool(wrong.any()) or (
                # Other batches may be rounded otherwise. Those of the same size leave no excuse.
                int(wrong.any(-1).sum()) <= 1 + len(index) // TURNED
                and self._same_size(view().rows(_repeated(index, rows)), _repeated(index, rows), shaped)
            )
        if not same:
            raise SignalError(
                "the reward of a state depends on the other states of the batch, on its place in it or on its size, "
                f"seen after {self.steps} steps: treat each row of B alone",
                "dynamic",
            )

    def _same_size(self, view: StateView, index: Tensor, shaped: Tensor) -> bool:
        return bool(_close(self._reward(view), shaped[index], SAME_SIZE).all())

    def _reward(self, view: StateView) -> Tensor:
        agents = view.reward.shape[-1]
        return self.program.reward(view, len(view.time), agents)[0]


def _close(found: Tensor, wanted: Tensor, tolerance: float) -> Tensor:
    tolerance = tolerance if wanted.device.type == "cpu" else max(tolerance, ACCELERATED)
    return (found - wanted).abs() <= tolerance * wanted.abs().max().clamp(min=1.0)


def _repeated(index: Tensor, rows: int) -> Tensor:
    """The picked rows over and over, up to so many."""
    return index.repeat(-(-rows // len(index)))[:rows]
