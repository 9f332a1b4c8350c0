"""Where a training lies. Tensors are made on the default device, so no other code speaks of devices."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from marlsmith.schemas import UserError


def checked_device(name: str) -> None:
    """Raises UserError where this machine has no such device."""
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise UserError(f"There is no device {name!r}: say cpu, cuda or cuda:NUMBER.")
    if name == "cpu":
        return
    count = torch.cuda.device_count()
    if count == 0:
        raise UserError(f"{name}: this machine has no GPU, or torch was installed without CUDA; use --device cpu.")
    if int(name.partition(":")[2] or 0) >= count:
        raise UserError(f"{name}: this machine has {count} GPU{'s' if count > 1 else ''}, numbered from 0.")


@contextmanager
def on_device(name: str) -> Iterator[None]:
    """New tensors and generators are made on this device."""
    if name == "cpu":  # the mode behind a default device costs time in every operation
        yield
        return
    with torch.device(name):
        yield
