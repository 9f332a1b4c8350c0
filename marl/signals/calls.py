"""Calls: what a library's function or a method may be given, and how much memory and time it would take."""

from __future__ import annotations

import ast
import re

from marlsmith.marl.signals.allowed import (
    DTYPE_READERS,
    DTYPE_TEXTS,
    GROWING,
    KEYWORD_REMEDIES,
    MOST,
    MOST_GROWING,
    PATHS,
    SIZED,
)
from marlsmith.marl.signals.literals import Literals, shown, too_large
from marlsmith.marl.signals.names import Names
from marlsmith.marl.signals.problems import Problems


class Calls:
    """One call at a time, and the operations that make texts and lists as long as one says."""

    def __init__(self, names: Names, literals: Literals, problems: Problems) -> None:
        self._names = names
        self._literals = literals
        self._problems = problems

    def check(self, node: ast.Call) -> None:
        for keyword in node.keywords:
            if keyword.arg in KEYWORD_REMEDIES:
                self._problems.refuse(node, f"{keyword.arg}=", KEYWORD_REMEDIES[keyword.arg])
            elif keyword.arg == "where":  # an own function may hand it on to a library's
                self._problems.refuse(node, "where=", "it leaves places unwritten, use np.where on the result")
            elif keyword.arg is None and not self._names.is_own_function(node.func):
                self._problems.refuse(node, "** in a call of what is no function of yours", "write the keywords out")
        path = self._names.path(node.func)
        if path or isinstance(node.func, ast.Attribute):
            self._check_arguments(node, path)
        name = node.func.id if isinstance(node.func, ast.Name) and not path else path
        if isinstance(node.func, ast.Attribute) and not path:
            name = node.func.attr
        self._check_sizes(node, name)

    def _check_arguments(self, node: ast.Call, path: str) -> None:
        """Of a library's function or a method: its keywords must be readable, and so must a dtype."""
        for keyword in node.keywords:
            if keyword.arg == "dtype" and not path.startswith("torch"):
                self._check_dtype(keyword.value)
            elif keyword.arg == "device":
                self._check_device(keyword.value)
        method = node.func.attr if isinstance(node.func, ast.Attribute) and not path else ""
        if method == "astype" and node.args:
            self._check_dtype(node.args[0])
        if method == "view" and any(
            isinstance(item, ast.Constant) and isinstance(item.value, str) for item in node.args
        ):
            self._problems.refuse(node, "a text in .view()", "write the shape, or a dtype of torch")
        if method == "to" or path == "torch.device":
            for argument in node.args:
                self._check_device(argument)
        allowed = DTYPE_READERS.get(path)
        if allowed is not None and (
            len(node.args) > allowed or any(isinstance(argument, ast.Starred) for argument in node.args)
        ):
            for argument in node.args[allowed:]:
                if isinstance(argument, ast.Starred) or not self._is_dtype(argument):
                    self._problems.refuse(
                        node, f"more than {allowed} arguments of {path} without names", "write dtype=np.float32"
                    )
            if any(isinstance(argument, ast.Starred) for argument in node.args):
                self._problems.refuse(node, f"* in a call of {path}", "write the arguments out")

    def _check_dtype(self, node: ast.expr) -> None:
        if not self._is_dtype(node):
            self._problems.refuse(node, "this dtype", "write it as np.float32, np.int64, float, int, bool or x.dtype")

    def _is_dtype(self, node: ast.expr) -> bool:
        match node:
            case ast.Constant(value=None):
                return True
            case ast.Constant(value=str(name)):
                return name in DTYPE_TEXTS
            case ast.Name(id="float" | "int" | "bool" as name):
                return name not in self._names.bound
            case ast.Attribute(attr="dtype"):
                return True
            case ast.Name() | ast.Attribute():
                return self._names.path(node) in PATHS
        return False

    def _check_device(self, node: ast.expr) -> None:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and not re.match("cpu|cuda", node.value):
            self._problems.refuse(node, f"the device {node.value!a:.20}", "use obs.device or leave it out")

    def _check_sizes(self, node: ast.Call, name: str) -> None:
        most = MOST_GROWING if name in GROWING else MOST
        if name not in SIZED and name not in GROWING:
            return
        count = 1 if SIZED.get(name) == "first" else len(node.args)
        named = [keyword.value for keyword in node.keywords if keyword.arg not in {"fill_value", "dtype", "device"}]
        for argument in [*node.args[:count], *named]:
            large = too_large(self._literals, argument, most)
            if large is not None:
                self._problems.refuse(node, f"{name} of {shown(large)}", f"take at most {most}")

    def check_repetition(self, node: ast.BinOp) -> None:
        """`[0] * n` and `"x" * n` with a large n, and `"%d" % n`, which the guard of f-strings does not see."""
        if isinstance(node.op, ast.Mod) and _is_text(node.left):
            self._problems.refuse(node, "% of a text", "use an f-string")
        if not isinstance(node.op, ast.Mult):
            return
        for one, other in ((node.left, node.right), (node.right, node.left)):
            repeated = isinstance(one, ast.List | ast.Tuple) or _is_text(one)
            times = self._literals.value(other)
            if repeated and times is not None and times > MOST:
                self._problems.refuse(node, f"a repetition of {shown(times)}", f"take at most {MOST}")

    def check_format(self, node: ast.FormattedValue) -> None:
        if node.format_spec is not None and any(
            isinstance(part, ast.Constant) and re.search(r"\d{3}", str(part.value))
            for part in ast.walk(node.format_spec)
        ):
            self._problems.refuse(node, "a format as wide as this", "use at most two digits")


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))
