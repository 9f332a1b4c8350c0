"""What candidate code must leave alone: random numbers and the settings of the libraries around it."""

from __future__ import annotations

import gc
import math
import operator
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import torch

from marlsmith.schemas import SignalError

RANDOM = "draws random numbers: it must be a function of its input"
LIBRARIES: tuple[ModuleType | type, ...] = (torch, torch.Tensor, torch.nn.functional, torch.linalg, np, math)


def _denormals_kept() -> bool:
    """Torch tells nobody whether it flushes denormal numbers to zero: such a number does."""
    return bool(torch.tensor([1e-40]).mul(1.0).ne(0.0))


SETTINGS: dict[str, Callable[[], Any]] = {
    "the gradient mode": torch.is_grad_enabled,
    "the inference mode": torch.is_inference_mode_enabled,
    "the default dtype": torch.get_default_dtype,
    "the default device": torch.get_default_device,
    "the number of threads": torch.get_num_threads,
    "deterministic algorithms": torch.get_deterministic_debug_mode,
    "anomaly detection": torch.is_anomaly_enabled,
    "autocast": lambda: torch.is_autocast_enabled("cpu"),
    "the matmul precision": torch.get_float32_matmul_precision,
    "denormal numbers": _denormals_kept,
    "oneDNN": lambda: torch.backends.mkldnn.enabled,
    "numpy's handling of errors": np.geterr,
    "numpy's print options": np.get_printoptions,
    "the recursion limit": sys.getrecursionlimit,
    "garbage collection": gc.isenabled,
}


@dataclass(frozen=True)
class Surroundings:
    """A snapshot; it takes about 0.1 ms, and so does the comparison."""

    torch_draws: torch.Tensor
    other_draws: tuple[Any, ...]
    settings: dict[str, Any]
    libraries: tuple[dict[str, Any], ...]

    @classmethod
    def now(cls) -> Surroundings:
        settings = {name: read() for name, read in SETTINGS.items()}
        return cls(torch.random.get_rng_state(), _other_draws(), settings, tuple(dict(vars(one)) for one in LIBRARIES))

    def require(self, what: str) -> None:
        """Raises SignalError where something is no longer as it was."""
        if not torch.equal(self.torch_draws, torch.random.get_rng_state()) or self.other_draws != _other_draws():
            raise SignalError(f"{what} {RANDOM}", "dynamic")
        for name, read in SETTINGS.items():
            if read() != self.settings[name]:
                raise SignalError(f"{what} changes {name}: leave the libraries' settings as they are", "dynamic")
        for library, held in zip(LIBRARIES, self.libraries, strict=True):
            here = vars(library)
            # Names may come, for torch loads parts of itself at first use.
            if not all(map(operator.is_, map(here.get, held), held.values())):
                raise SignalError(f"{what} changes {library.__name__} itself: leave libraries as they are", "dynamic")


def _other_draws() -> tuple[Any, ...]:
    _, words, *rest = np.random.get_state(legacy=True)
    return random.getstate(), np.asarray(words).tobytes(), tuple(rest)
