"""Training state as safetensors: numbers only, nothing is ever unpickled."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from marlsmith.schemas import UserError

SUM = "sum"
"""Of all numbers, in the header: a disk that loses a block leaves a file that reads well."""


def pack(tensors: Iterable[tuple[str, Tensor]], about: Mapping[str, object]) -> bytes:
    """Bytes of a checkpoint; `about` says in its header what it belongs to."""
    named = {name: tensor.detach().contiguous().clone() for name, tensor in tensors}
    said = {"marlsmith": json.dumps(about, sort_keys=True), SUM: _sum(named)}
    return safetensors.torch.save(named, said)


def unpack(data: bytes) -> tuple[dict[str, Tensor], dict[str, object]]:
    """Tensors and header of a checkpoint. Raises UserError where the bytes are damaged."""
    try:
        tensors = safetensors.torch.load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        belongs = json.loads(header["__metadata__"]["marlsmith"])
        if SUM in header["__metadata__"] and header["__metadata__"][SUM] != _sum(tensors):
            raise ValueError("its numbers are not those that were written")
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise UserError(
            f"This checkpoint is damaged or was not written by marlsmith ({error}): train it again."
        ) from None
    return tensors, belongs


def _sum(tensors: Mapping[str, Tensor]) -> str:
    found = 0
    for name in sorted(tensors):
        numbers = tensors[name].cpu().reshape(-1).view(torch.uint8).numpy()
        found = zlib.crc32(numbers.data, zlib.crc32(name.encode(), found))
    return f"{found:08x}"
