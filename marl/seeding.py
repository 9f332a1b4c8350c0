"""Independent random streams from one seed. No global generator is ever used inside the library."""

from __future__ import annotations

import zlib

import numpy as np
import torch


def generator(seed: int, stream: str) -> torch.Generator:
    """The stream's generator, on the default device: one seed and name, the same numbers; other names, others."""
    mixed = np.random.SeedSequence([seed, zlib.crc32(stream.encode())]).generate_state(1, np.uint64)[0]
    return torch.Generator(torch.get_default_device()).manual_seed(int(mixed >> np.uint64(1)))
