"""A worker job that calls everything the static check allows. Loaded by file path into the fork server."""

from __future__ import annotations

import copy
import hashlib
import importlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from marlsmith.marl.signals.allowed import IN_PLACE, PATHS, TENSOR_ATTRIBUTES

A = torch.linspace(0.1, 0.9, 16).reshape(4, 4) + 0.5 * torch.eye(4)
B = torch.linspace(0.8, 0.2, 16).reshape(4, 4) + 0.4 * torch.eye(4)
J = torch.tensor([[0, 1, 2, 3], [3, 2, 1, 0], [1, 0, 3, 2], [2, 3, 0, 1]])
M = A > 0.5
V = torch.tensor([0.1, 0.5, 0.3, 0.9])
W = torch.tensor([0, 2, 1])
T3 = A.reshape(2, 2, 4)
S = torch.tensor(0.25)

TRIES: tuple[tuple[Any, ...], ...] = (
    (), (A,), (A, B), (A, 1), (A, S), (V,), (V, V), (J,), (J, J), (M,), (M, M), (A, V), (4,), (4, 4), ((2, 2),),
    ((A, B),), ([A, B],), (0.5,), (0.5, 0.25), (2.0, 3.0), (5, 2), (A, 0, 1), (A, 1, J), (A, 1, J, B), (M, A,
    B), (A, M), (A, M, 0.0), (A, M, V), (A, W), (A, 0, W), (A, 0, W, 1.0), (A, 0, W, A[:3]), (A, 2), (A, 2, 0),
    (A, (2, 2)), (A, (1, 0)), (A, [1, 0]), (A, (0, 1), (1, 0)), (A, -1), (A, 0.5), (A, 0.1, 0.9), (A, B, A), (A,
    B, 0.5), (V, A, B), (T3, T3), (T3, T3, T3), (T3, T3.mT), (T3, T3, T3.mT), (torch.zeros(2, 2, 2), T3, T3.mT),
    (T3, 2), (T3, 1, 2), (np.ones(2),), (A, 0, (2, 2)), (A, (1, 1)), (W,), (W, W), (W, 4), (0.0, 1.0, 5), (0, 1,
    5), ((2, 2), 0.5), (A, 0.5, 0.0), (V, 4, 0.0, 1.0), (A, B, W), ("ij,jk->ik", A, B), (A, W.repeat(2)[:4]),
    (V.log(), V), (V, (V > 0.4).float()), (T3, (4,)), (T3, 2, 1), (A, 0, 1, 2), (A, 0, 0), (A, torch.float64),
    ("cpu",), (torch.float32,), (torch.int64,), (A, 1, J, B, "sum"), ([M, ~M], [A, B]), (A, (4, 4)), (A, 2, 1,
    1), (V, V, V), ((4, 4), (4, 1)), (3, 3), ([1.0, 2.0],), (A, 4, 4),
)  # fmt: skip
ITERABLE: tuple[tuple[Any, ...], ...] = (
    ([3, 1, 2],), ([3, 1, 2], 2), (5, 3), ([3, 1], [2, 4]), (lambda a, b: a * b, [1, 2, 3]), (max, [(1, 2), (3, 4)]),
    (lambda a: a, 1), (list,), (1,),
)  # fmt: skip


OF_METHODS: tuple[tuple[Any, ...], ...] = ((V, B), (0, (2, 2)), (np.float64,))


def plain(value: Any) -> str:
    """An answer as a text that is the same for equal answers; long ones by their digest."""
    if isinstance(value, torch.Tensor):
        return _short(f"tensor {list(value.shape)} {value.dtype} {value.detach().reshape(-1).tolist()}")
    if isinstance(value, np.ndarray | np.generic):
        return _short(f"array {value.shape} {value.dtype} {value.tolist()}")
    if isinstance(value, tuple | list):
        return _short(f"{type(value).__name__} {[plain(item) for item in value]}")
    if isinstance(value, int | float | bool | str | type(None) | torch.dtype | torch.device | dict):
        return repr(value)
    if isinstance(value, Iterator):
        return plain(list(value))
    return type(value).__name__


def _short(text: str) -> str:
    return text if len(text) < 80 else hashlib.sha256(text.encode()).hexdigest()[:16]


def first_answer(function: Callable[..., Any], tries: tuple[tuple[Any, ...], ...]) -> str:
    """Of the first arguments that it takes."""
    fault = "nothing fits"
    for number, given in enumerate(tries):
        own = copy.deepcopy(given)  # some work in place
        try:
            answer = plain(function(*own))
        except (OSError, ImportError) as error:
            return f"no: {type(error).__name__}: {error}"
        except Exception as error:
            fault = type(error).__name__
            continue
        return f"{number}: {answer}"
    return f"no: {fault}"


def as_arrays(given: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(
        item.numpy() if isinstance(item, torch.Tensor) else as_arrays(item) if isinstance(item, tuple | list) else item
        for item in given
    )


def sweep(arguments: dict[str, Any], report: Callable[[dict[str, Any]], None]) -> tuple[dict[str, Any], bytes | None]:
    answers: dict[str, str] = {}
    for path, parent in PATHS.items():
        value = getattr(importlib.import_module(parent), path.rpartition(".")[2])
        tries = TRIES
        if parent.startswith("numpy"):
            tries = tuple(map(as_arrays, TRIES))
        elif not parent.startswith(("torch", "math")):
            tries = ITERABLE
        typed = isinstance(value, type) and parent != "itertools"
        answers[path] = (
            plain(value) if not callable(value) or typed or parent == "typing" else first_answer(value, tries)
        )
    owners = {"matrix": A, "batch": T3, "vector": V, "number": S, "indices": W, "mask": M, "array": np.asarray(A)}
    for name in [*TENSOR_ATTRIBUTES.split(), *sorted(IN_PLACE)]:
        for kind, owner in {**owners, "finfo": torch.finfo(torch.float32)}.items():
            if name not in dir(owner):
                continue

            def call(*given: Any, owner: Any = owner, name: str = name) -> Any:
                own = owner if isinstance(owner, torch.finfo) else copy.deepcopy(owner)
                value = getattr(own, name)
                return value(*given) if callable(value) else value

            rest = tuple(given[1:] for given in TRIES if given and given[0] is owner)
            answers[f"{kind}.{name}"] = first_answer(call, ((), *rest, *OF_METHODS, *TRIES))
    return {"answers": answers, "pi": math.pi}, None
