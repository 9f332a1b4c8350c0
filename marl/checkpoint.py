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


def pack(tensors: Iterable[tuple[str, Tensor]], about: Mapping[str, object]) -> bytes:
    """Bytes of a checkpoint; `about` says in its header what it belongs to. The same training gives the same bytes.

    The header has a sum over all numbers as well: a disk that loses a block leaves a file that reads well. Both stand
    in one entry, since safetensors writes several in any order.
    """
    named = {name: tensor.detach().contiguous().clone() for name, tensor in tensors}
    header = json.dumps({"about": about, "sum": _sum(named)}, sort_keys=True)
    return safetensors.torch.save(named, {"marlsmith": header})


def unpack(data: bytes) -> tuple[dict[str, Tensor], dict[str, object]]:
    """Tensors and header of a checkpoint. Raises UserError where the bytes are damaged."""
    try:
        tensors = safetensors.torch.load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        said = json.loads(header["__metadata__"]["marlsmith"])
        belongs: dict[str, object] = said["about"]
        if said["sum"] != _sum(tensors):
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
