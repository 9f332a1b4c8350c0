"""What stands at module level, and so would last from one call to the next."""

from __future__ import annotations

import ast

from marlsmith.marl.signals.allowed import MUTATORS
from marlsmith.marl.signals.problems import Problems


def stored(node: ast.stmt) -> set[str]:
    """Names that a top-level statement gives a meaning; what a function stores is its own."""
    if isinstance(node, ast.FunctionDef):
        return {node.name}
    inner = list(ast.walk(node))
    names = {part.id for part in inner if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}
    return names | {part.name for part in inner if isinstance(part, ast.FunctionDef)}


def require_kept(function: ast.FunctionDef, module_names: set[str], problems: Problems) -> None:
    """What stands at module level is the same in every call: a function that writes into it wants to remember."""
    inner = list(ast.walk(function))
    own = {node.id for node in inner if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    own |= {node.arg for node in inner if isinstance(node, ast.arg)}
    for node in inner:
        match node:
            case ast.Subscript(value=owner, ctx=ast.Store()):
                pass
            case ast.Call(func=ast.Attribute(value=owner, attr=attribute)) if attribute in MUTATORS:
                pass
            case _:
                continue
        while isinstance(owner, ast.Subscript):
            owner = owner.value
        if isinstance(owner, ast.Name) and owner.id in module_names and owner.id not in own:
            what = f"changing {owner.id}, which stands at module level,"
            problems.refuse(node, what, "keep no state, make it in the function")


def asks_for_main(node: ast.stmt) -> ast.Name | None:
    """The `__name__` of `if __name__ == "__main__":`, a block that never runs here."""
    match node:
        case ast.If(
            test=ast.Compare(left=ast.Name(id="__name__") as name, ops=[ast.Eq()], comparators=[ast.Constant(value)]),
            orelse=[],
        ) if value == "__main__":
            return name
    return None


def keeps_nothing(tree: ast.Module) -> bool:
    """Whether nothing at module level can change, so that calls cannot know of each other."""
    for node in tree.body:
        match node:
            case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant()) | ast.Pass():
                continue
            case ast.If() if asks_for_main(node):
                continue
            case ast.FunctionDef(decorator_list=[], args=arguments):
                values = [*arguments.defaults, *(value for value in arguments.kw_defaults if value is not None)]
            case ast.Assign(value=value):
                values = [value]
            case ast.AnnAssign(value=ast.expr() as value):
                values = [value]
            case _:
                return False
        if not all(map(_is_fixed, values)):
            return False
    return True


def _is_fixed(node: ast.expr) -> bool:
    """A number, a text, or a tuple of them."""
    match node:
        case ast.Constant() | ast.UnaryOp(operand=ast.Constant()):
            return True
        case ast.Tuple(elts=elements):
            return all(map(_is_fixed, elements))
    return False
