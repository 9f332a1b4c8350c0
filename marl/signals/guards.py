"""What is put between candidate code and the few things that differ from one process to the next.

The address of an object shows in its text and in the order of a set; both differ from run to run, and so would
a reward that is made of them. The checked tree is compiled with a guard at each place where that could happen.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, ItemsView, Iterable, KeysView
from collections.abc import Set as AnySet
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import torch._subclasses.schema_check_mode  # torch imports it to print its first tensor, when files are out of reach
from torch import Tensor

from marlsmith.marl.signals.allowed import DTYPE_METHODS, MODULES, PATHS, TYPES_ONLY

FILE_NAME = "<signal>"
"""What candidate code is compiled as: tracebacks name it."""

FACTORIES = (None, int, float, bool, list, tuple, dict)
PLAIN = (int, float, bool, str, type(None), torch.dtype, torch.device, np.number, np.bool_, np.dtype)


# ---------------------------------------------------------------- text


def text(value: Any = "", *rest: object) -> Any:
    """The value, where its text is the same in every process. Raises TypeError for anything else."""
    if isinstance(value, defaultdict):
        if value.default_factory not in FACTORIES:
            raise TypeError("only numbers and texts can be made into text, not what makes a defaultdict's values")
        text(dict(value))
    elif type(value) in (dict, OrderedDict, Counter):
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


# A set of the keys of a dict, or of its pairs, would be one without a guard too: here it keeps the dict's order.


class Listed(AnySet[Any], list[Any]):  # type: ignore[misc]  # it compares as a set
    """`.keys()` and `.items()` in candidate code: what these can do as sets, in the order of their dict."""

    __contains__ = list.__contains__
    __iter__ = list.__iter__
    __len__ = list.__len__

    @classmethod
    def _from_iterable(cls, it: Iterable[Any]) -> Listed:
        found = cls()
        for value in it:
            if value not in found:
                found.append(value)
        return found


def listed(value: Any) -> Any:
    return Listed(value) if isinstance(value, KeysView | ItemsView) else value


# ---------------------------------------------------------------- types


class _StandIn(type):
    """The type of a type that may be asked for, and not be called: it would give memory that was never written."""

    _real: type
    _dtype: torch.dtype | None

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, cls._real)

    def __call__(cls, *_: object, **__: object) -> Any:
        raise TypeError(f"{cls.__name__} is no function here: use torch.tensor or torch.zeros")


DTYPES = {"FloatTensor": torch.float32, "LongTensor": torch.int64, "BoolTensor": torch.bool, "Tensor": torch.float32}


def _stand_in(real: type) -> _StandIn:
    name = real.__name__
    return _StandIn(name, (), {"_real": real, "_dtype": DTYPES.get(name)})


def kind(value: Any = None) -> Any:
    """What `.type(...)` is given: a dtype in place of the type that stands for it."""
    return value._dtype if isinstance(value, _StandIn) else value


# ---------------------------------------------------------------- modules

NUMBERS = "biufc"
"""Kinds of dtype. Arrays of texts, dates and objects know addresses and the clock."""


def numbers(result: Any) -> Any:
    """The result, where arrays in it are of numbers. Raises TypeError for any other."""
    if isinstance(result, tuple | list):
        for part in result:
            numbers(part)
    elif isinstance(result, np.ndarray | np.generic) and result.dtype.kind not in NUMBERS:
        raise TypeError(f"arrays here hold numbers only, not {result.dtype.name}")
    return result


def _require_numeric(dtype: Any) -> None:
    """numpy takes a dtype from texts, lists, dicts and more: here from the plain ways to say one."""
    if dtype is not None and (not isinstance(dtype, str | type | np.dtype) or np.dtype(dtype).kind not in NUMBERS):
        raise TypeError(f"arrays here hold numbers only, not {_said(dtype)}")


def _said(dtype: Any) -> str:
    return np.dtype(dtype).name if isinstance(dtype, str | type | np.dtype) else f"what a {type(dtype).__name__} says"


REFUSED_KEYWORDS = {
    "out": "writes into memory", "where": "leaves memory unwritten", "signature": "computes with another dtype",
    "sig": "computes with another dtype", "like": "hands the work on",
}  # fmt: skip


def _of_numbers(function: Callable[..., Any]) -> Callable[..., Any]:
    """A numpy function that computes with numbers, gives numbers, and leaves no place unwritten."""

    def call(*arguments: Any, **keywords: Any) -> Any:
        if keywords:
            for name, fault in REFUSED_KEYWORDS.items():
                if name in keywords:
                    raise TypeError(f"{name}= {fault}: leave it out and use the result")
            _require_numeric(keywords.get("dtype"))
        return numbers(function(*arguments, **keywords))

    return call


def copied(value: Any) -> Any:
    """`.numpy()` in candidate code: an array with memory of its own."""
    return value.copy() if isinstance(value, np.ndarray) else value


def _door(module: str) -> SimpleNamespace:
    """A module of torch or numpy as candidate code sees it: what the static check allows, and no more."""
    real, guarded = sys.modules[module], module.startswith("numpy")
    found: dict[str, Any] = {}
    for path, parent in PATHS.items():
        if parent == module:
            name = path.rpartition(".")[2]
            value = getattr(real, name)
            if path in TYPES_ONLY:
                value = _stand_in(value)
            elif guarded and callable(value) and not isinstance(value, type):
                value = _of_numbers(value)
            found[name] = value
    return SimpleNamespace(**found)


class Hint:
    """A name of `typing` in candidate code. Python's own remembers what it was subscribed with, from call to call."""

    def __getitem__(self, of: object) -> Hint:
        return self

    def __or__(self, other: object) -> Hint:
        return self

    __ror__ = __or__


def _typing() -> SimpleNamespace:
    hints: dict[str, Any] = {path.rpartition(".")[2]: Hint() for path, module in PATHS.items() if module == "typing"}
    return SimpleNamespace(**{**hints, "TYPE_CHECKING": False, "cast": lambda kind, value: value})


DOORS = {name: _door(name) for name in MODULES if name.partition(".")[0] in {"torch", "numpy"}}
DOORS["typing"] = _typing()
for _name in sorted(DOORS):
    _parent, _, _child = _name.rpartition(".")
    if _parent:
        setattr(DOORS[_parent], _child, DOORS[_name])


# ---------------------------------------------------------------- into the tree

GUARDS: dict[str, Any] = {
    "__text": text, "__dividend": dividend, "__set": NumberSet, "__listed": listed, "__numbers": numbers,
    "__copied": copied, "__kind": kind,
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
        match node:
            case ast.FormattedValue():
                node.value = _call("__text", node.value)
            case ast.BinOp(op=ast.Mod()):
                node.left = _call("__dividend", node.left)
            case ast.Call(func=ast.Attribute(attr="type"), args=[ast.expr() as given]):
                node.args = [given if isinstance(given, ast.Starred) else _call("__kind", given)]
    return tree


def _guarded(item: Any) -> Any:
    match item:
        case ast.Set() | ast.SetComp():
            return _call("__set", item)
        case ast.Call(func=ast.Attribute(attr=name)) if name in GUARDED_METHODS:
            return _call(GUARDED_METHODS[name], item)
    return item


GUARDED_METHODS = {
    **dict.fromkeys(DTYPE_METHODS, "__numbers"), "keys": "__listed", "items": "__listed", "numpy": "__copied",
}  # fmt: skip


def _call(name: str, value: ast.expr) -> ast.Call:
    function = ast.copy_location(ast.Name(name, ast.Load()), value)
    return ast.copy_location(ast.Call(function, [value], []), value)
