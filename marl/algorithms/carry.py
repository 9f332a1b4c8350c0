"""A trained algorithm taken over to observations with other feature columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from marlsmith.marl.algorithms.base import Spaces
from marlsmith.marl.config import TrainConfig


class Carried(Protocol):
    spaces: Spaces
    config: TrainConfig
    generators: list[torch.Generator]

    def __init__(self, spaces: Spaces, config: TrainConfig, generators: Sequence[torch.Generator]) -> None: ...

    def tensors(self) -> Iterator[tuple[str, Tensor]]: ...


A = TypeVar("A", bound=Carried)


@torch.no_grad()
def carried(old: A, observation: int, kept: int) -> A:
    """The same algorithm for observations of another size.

    The first `kept` columns of each agent's observation keep their weights (and what the optimiser knows of
    them); the columns behind them start at zero, so that they change no output until something is learned.
    """
    if observation == old.spaces.observation and kept < observation:
        # Sizes alone would not show which inputs are observations: first drop the columns, then add new ones.
        return carried(carried(old, kept, kept), observation, kept)
    # The networks' own start is thrown away: it must not use up the members' random numbers.
    scratch = [torch.Generator(one.device).manual_seed(0) for one in old.generators]
    new = type(old)(replace(old.spaces, observation=observation), old.config, scratch)
    new.generators = old.generators
    before = dict(old.tensors())
    for name, tensor in new.tensors():
        if name.startswith("replay."):
            continue  # no weights: relabelling makes them fit
        if tensor.shape == before[name].shape:
            tensor.copy_(before[name])
        else:
            columns = _columns(before[name].shape[-2], tensor.shape[-2], old.spaces.observation, observation, kept)
            tensor.zero_()
            tensor[..., columns[1], :] = before[name][..., columns[0], :]
    return new


def _columns(old_inputs: int, new_inputs: int, old: int, new: int, kept: int) -> tuple[list[int], list[int]]:
    """Which inputs of a first layer stay, as numbers before and after.

    Inputs are one observation or several side by side (a joint one), and behind them what is no observation
    (the agent's number).
    """
    blocks = (new_inputs - old_inputs) // (new - old)
    tail = old_inputs - blocks * old
    pairs = [(block * old + column, block * new + column) for block in range(blocks) for column in range(kept)]
    pairs += [(blocks * old + column, blocks * new + column) for column in range(tail)]
    return [before for before, _ in pairs], [after for _, after in pairs]
