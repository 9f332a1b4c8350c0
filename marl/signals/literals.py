"""Numbers that can be told from the source alone: those that would take the memory or the time of the machine."""

from __future__ import annotations

import ast
import math
import operator
from collections import Counter
from collections.abc import Callable

MOST_BITS = 4096
Number = int | float

_PLAIN: dict[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}


class Literals:
    """Values of constant expressions, with the module's own constants by name."""

    def __init__(self, tree: ast.Module) -> None:
        self._values: dict[int, Number | None] = {}
        self._names: dict[str, Number] = {}
        self.explosions: list[tuple[ast.BinOp, str]] = []
        """Powers, products and shifts that no machine should work out."""
        nodes = list(ast.walk(tree))
        # Children stand after their parents there, so what is below is known first from the end.
        for node in reversed(nodes):
            if isinstance(node, ast.expr):
                self._values[id(node)] = self._fold(node)
        bound = Counter(node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))
        bound.update(node.arg for node in nodes if isinstance(node, ast.arg))
        for statement in tree.body:
            match statement:
                case (
                    ast.Assign(targets=[ast.Name(id=name)], value=value)
                    | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
                ):
                    known = self._values[id(value)]
                    if known is not None and bound[name] == 1:
                        self._names[name] = known

    def value(self, node: ast.expr) -> Number | None:
        if isinstance(node, ast.Name):
            return self._names.get(node.id)
        return self._values.get(id(node))

    def _fold(self, node: ast.expr) -> Number | None:
        match node:
            case ast.Constant(value=bool()):
                return None
            case ast.Constant(value=int() | float() as value):
                return value
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                known = self.value(operand)
                return None if known is None else -known
            case ast.BinOp(left=left, op=op, right=right):
                one, other = self.value(left), self.value(right)
                return None if one is None or other is None else self._computed(node, op, one, other)
        return None

    def _computed(self, node: ast.BinOp, op: ast.operator, one: Number, other: Number) -> Number | None:
        try:
            if isinstance(op, ast.Pow):
                return self._power(node, one, other)
            if isinstance(op, ast.LShift) and isinstance(one, int) and isinstance(other, int):
                return self._bounded(node, "shift", one.bit_length() + other, lambda: one << other)
            if isinstance(op, ast.Mult) and isinstance(one, int) and isinstance(other, int):
                return self._bounded(node, "product", one.bit_length() + other.bit_length(), lambda: one * other)
            if type(op) in _PLAIN:
                return _PLAIN[type(op)](one, other)
        except (ArithmeticError, ValueError):
            return None
        return None

    def _power(self, node: ast.BinOp, base: Number, exponent: Number) -> Number | None:
        if isinstance(base, int) and isinstance(exponent, int) and exponent > 0:
            return self._bounded(node, "power", base.bit_length() * exponent, lambda: base**exponent)
        result = float(base) ** float(exponent)
        return result if isinstance(result, float) and math.isfinite(result) else None

    def _bounded(self, node: ast.BinOp, what: str, bits: int, compute: Callable[[], int]) -> Number | None:
        if bits <= MOST_BITS:
            return compute()
        self.explosions.append((node, what))
        return None


def too_large(literals: Literals, node: ast.expr, most: int) -> Number | None:
    """A number above `most` in an argument, also within a tuple or list of sizes."""
    parts = node.elts if isinstance(node, ast.Tuple | ast.List) else [node]
    for part in parts:
        known = literals.value(part)
        if known is not None and known > most:
            return known
    return None


def shown(value: Number) -> str:
    """A number as a sentence can hold it."""
    return str(value) if isinstance(value, float) or abs(value) <= 10**12 else "more than 10**12"
