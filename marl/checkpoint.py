"""Training state as safetensors: numbers only, nothing is ever unpickled."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

import safetensors
import safetensors.torch
from torch import Tensor

from marlsmith.schemas import UserError


def pack(tensors: Iterable[tuple[str, Tensor]], about: Mapping[str, object]) -> bytes:
    """Bytes of a checkpoint; `about` says in its header what it belongs to."""
    named = {name: tensor.detach().contiguous().clone() for name, tensor in tensors}
    return safetensors.torch.save(named, {"marlsmith": json.dumps(about, sort_keys=True)})


def unpack(data: bytes) -> tuple[dict[str, Tensor], dict[str, object]]:
    """Tensors and header of a checkpoint. Raises UserError where the bytes are damaged."""
    try:
        tensors = safetensors.torch.load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        belongs = json.loads(header["__metadata__"]["marlsmith"])
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise UserError(
            f"This checkpoint is damaged or was not written by marlsmith ({error}): train it again."
        ) from None
    return tensors, belongs
