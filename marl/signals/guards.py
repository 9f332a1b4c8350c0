"""What is put between candidate code and the few things that differ from one process to the next.

The address of an object shows in its text and in the order of a set; both differ from run to run, and so would
a reward that is made of them. The checked tree is compiled with a guard at each place where that could happen.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, ItemsView, Iterable, KeysView, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import torch._subclasses.schema_check_mode  # torch imports it to print its first tensor, when files are out of reach
from torch import Tensor

from marlsmith.marl.signals.allowed import DTYPE_METHODS, PATHS

FILE_NAME = "<signal>"
"""What candidate code is compiled as: tracebacks name it."""

PLAIN = (int, float, bool, str, type(None), torch.dtype, torch.device, np.number, np.bool_, np.dtype)


# ---------------------------------------------------------------- text


def text(value: Any = "", *rest: object) -> Any:
    """The value, where its text is the same in every process. Raises TypeError for anything else."""
    if isinstance(value, Mapping):
        for item in value.items():
            text(item)
    elif isinstance(value, list | tuple | set):
        for item in value:
            text(item)
    elif isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            raise TypeError("only numbers and texts can be made into text")
    elif not isinstance(value, (*PLAIN, Tensor)):
        raise TypeError(f"only numbers and texts can be made into text, not {type(value).__name__}")
    return value


class _TextType(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, str)


class Text(metaclass=_TextType):
    """`str` in candidate code."""

    def __new__(cls, value: Any = "") -> str:  # type: ignore[misc]
        return str(text(value))


def dividend(value: Any) -> Any:
    """The left side of %, which for a text would be formatting past the guard of f-strings."""
    if isinstance(value, str):
        raise TypeError("texts are made with f-strings here, not with %")
    return value


# ---------------------------------------------------------------- sets


class NumberSet(set[Any]):
    """`set` in candidate code. Numbers have the same order in every process, texts and functions have not."""

    def __init__(self, values: Iterable[Any] = ()) -> None:
        super().__init__(map(_number, values))

    def add(self, value: Any) -> None:
        super().add(_number(value))

    def update(self, *others: Iterable[Any]) -> None:
        super().update(*map(NumberSet, others))

    def __ior__(self, other: Any) -> Any:  # type: ignore[misc]
        self.update(other)
        return self

    def __ixor__(self, other: Any) -> Any:  # type: ignore[misc]
        return self ^ other


def _again_of_numbers(name: str) -> Callable[..., Any]:
    """A method of sets that makes a set: python's own would be one without a guard."""
    method = getattr(set, name)

    def made(self: NumberSet, *others: Any) -> Any:
        result = method(self, *others)
        return NumberSet(result) if isinstance(result, set) else result

    return made


for _name in ("copy", "difference", "intersection", "union", "symmetric_difference"):
    setattr(NumberSet, _name, _again_of_numbers(_name))
for _name in ("and", "or", "sub", "xor"):
    setattr(NumberSet, f"__{_name}__", _again_of_numbers(f"__{_name}__"))
    setattr(NumberSet, f"__r{_name}__", _again_of_numbers(f"__r{_name}__"))


def _number(value: Any) -> Any:
    parts = value if isinstance(value, tuple) else (value,)
    # NaN is hashed by its address.
    if not all(isinstance(part, int | float | np.number) and part == part for part in parts):
        raise TypeError("a set can hold numbers only, for the order of other things changes: use a list or a dict")
    return value


# ---------------------------------------------------------------- numpy

NUMBERS = "biufc"
"""Kinds of dtype. Arrays of texts, dates and objects know addresses and the clock."""


def numeric(value: Any) -> Any:
    """The value, where it is no dtype or one of numbers. Raises TypeError for any other dtype."""
    if isinstance(value, str | type | np.dtype) and np.dtype(value).kind not in NUMBERS:
        raise TypeError(f"arrays here hold numbers only, not {np.dtype(value).name}")
    return value


def numerics(values: Iterable[Any]) -> list[Any]:
    return [numeric(value) for value in values]


def _numbers_only(result: Any) -> Any:
    if isinstance(result, tuple | list):
        for part in result:
            _numbers_only(part)
    elif isinstance(result, np.ndarray | np.generic) and result.dtype.kind not in NUMBERS:
        raise TypeError(f"arrays here hold numbers only, not {result.dtype.name}")
    return result


def _of_numbers(function: Callable[..., Any]) -> Callable[..., Any]:
    """A numpy function that gives numbers and leaves no place unwritten."""

    def call(*arguments: Any, **keywords: Any) -> Any:
        if keywords:
            for name in ("out", "where"):
                if name in keywords:
                    raise TypeError(f"{name}= leaves memory unwritten or writes into it: use the result")
            numeric(keywords.get("dtype"))
        return _numbers_only(function(*arguments, **keywords))

    return call


def _door(module: str) -> SimpleNamespace:
    """A module of numpy as candidate code sees it: what the static check allows, and no more."""
    real = sys.modules[module]
    names = [path.rpartition(".")[2] for path, parent in PATHS.items() if parent == module]
    found = {name: getattr(real, name) for name in names}
    return SimpleNamespace(
        **{
            name: _of_numbers(value) if callable(value) and not isinstance(value, type) else value
            for name, value in found.items()
        }
    )


NUMPY = _door("numpy")
NUMPY.linalg = _door("numpy.linalg")
DOORS = {"numpy": NUMPY, "numpy.linalg": NUMPY.linalg}


# ---------------------------------------------------------------- into the tree


def listed(value: Any) -> Any:
    """The keys or pairs of a dict as a list: as sets they could be joined, in an order that changes."""
    return list(value) if isinstance(value, KeysView | ItemsView) else value


GUARDS: dict[str, Any] = {
    "__text": text, "__dividend": dividend, "__set": NumberSet, "__numeric": numeric,
    "__numerics": numerics, "__listed": listed,
}  # fmt: skip
"""Candidate code can say none of these names: the static check refuses all that begin with two underscores."""


def guard(tree: ast.Module) -> ast.Module:
    """Puts the guards into a checked tree, in place."""
    for node in list(ast.walk(tree)):
        for name, value in ast.iter_fields(node):
            if isinstance(value, list):
                value[:] = [_guarded(item) for item in value]
            elif isinstance(value, ast.Set | ast.SetComp | ast.Call):
                setattr(node, name, _guarded(value))
        if isinstance(node, ast.FormattedValue):
            node.value = _call("__text", node.value)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
            node.left = _call("__dividend", node.left)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in DTYPE_METHODS:
            for item in node.args:
                if isinstance(item, ast.Starred):
                    item.value = _call("__numerics", item.value)
            node.args = [item if isinstance(item, ast.Starred) else _call("__numeric", item) for item in node.args]
            for keyword in node.keywords:
                keyword.value = _call("__numeric", keyword.value)
    return tree


def _guarded(item: Any) -> Any:
    match item:
        case ast.Set() | ast.SetComp():
            return _call("__set", item)
        case ast.Call(func=ast.Attribute(attr="keys" | "items")):
            return _call("__listed", item)
    return item


def _call(name: str, value: ast.expr) -> ast.Call:
    function = ast.copy_location(ast.Name(name, ast.Load()), value)
    return ast.copy_location(ast.Call(function, [value], []), value)
