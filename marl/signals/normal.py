"""The form of a signal in which two that are the same but for their spelling are equal, as text.

What does not matter: comments, docstrings, layout, names that a module gives to its own things, the order of
functions and of a configuration's terms, terms of weight zero, `1` for `1.0`, how torch was imported. Two signals
of one form do the same; the reverse does not hold, and is found by what they do on stored states.
"""

from __future__ import annotations

import ast
import copy
import json
from collections.abc import Iterable
from typing import Any

from marlsmith.marl.signals.forms import ENTRIES, OBSERVATION_FORMS, REWARD_FORMS
from marlsmith.marl.signals.lasting import stored
from marlsmith.marl.signals.source import parse
from marlsmith.schemas import AnyTerm, Code, ObservationConfig, RewardConfig, Signal, SignalError, canonical

REWARD_ENTRIES = (*REWARD_FORMS, "ALPHA")
OBSERVATION_ENTRIES = (*OBSERVATION_FORMS, "SCOPE")
EXACT = 2**53
"""Beyond, not every whole number is a float."""


def normal_form(signal: Signal) -> str:
    """A signal whose code does not parse is its own form: the checks refuse it."""
    try:
        return json.dumps({"reward": _reward(signal), "observation": _observation(signal)}, sort_keys=True)
    except (SignalError, RecursionError):
        return canonical(signal)


def _reward(signal: Signal) -> Any:
    match signal.reward:
        case None:
            return None
        case Code(source=source):
            return _module(source, REWARD_ENTRIES)
        case RewardConfig(terms=terms, alpha=alpha):
            credits = {term.credit for term in terms}
            # A credit whose terms all weigh nothing still has its share of alpha.
            return {"alpha": alpha if len(credits) > 1 else None, **{c: _weighty(terms, c) for c in credits}}


def _weighty(terms: Iterable[AnyTerm], credit: str) -> list[str]:
    return sorted(term.model_dump_json() for term in terms if term.credit == credit and term.weight != 0)


def _observation(signal: Signal) -> Any:
    match signal.observation:
        case None:
            return None
        case Code(source=source):
            return _module(source, OBSERVATION_ENTRIES)
        case ObservationConfig(features=features, scope=scope):
            return {"scope": scope, "features": sorted(feature.model_dump_json() for feature in features)}


# ---------------------------------------------------------------- code


def _module(source: str, entries: tuple[str, ...]) -> list[str]:
    """The entry points, then what they use in the order of its use; what nothing uses is left out."""
    tree = parse(source)
    imports, statements = _imports(tree), _statements(tree)
    # Names by which something is reached from elsewhere: in a call, or through an object.
    fixed = {node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg is not None}
    fixed |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)} | ENTRIES | {*entries}
    names = {name: name for name in statements if name in fixed}
    order = [name for name in entries if name in statements]
    form: list[str] = []
    for name in order:  # grows while it is walked
        for used in _uses(statements[name]):
            if used in statements and used not in order:
                order.append(used)
                names.setdefault(used, f"_m{len(order)}")
        form.append(ast.dump(_Plain(imports, names, fixed).visit(copy.deepcopy(statements[name]))))
    return form


def _statements(tree: ast.Module) -> dict[str, ast.stmt]:
    """The statement that gives each name of the module its meaning.

    Raises SignalError where their order might matter: what is written twice, or changed by a loop.
    """
    found: dict[str, ast.stmt] = {}
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom) or _is_text(node):
            continue
        names = stored(node)
        if not isinstance(node, ast.FunctionDef | ast.Assign | ast.AnnAssign) or not names or names & found.keys():
            raise SignalError("the module does more than to define")
        found |= dict.fromkeys(names, node)
    return found


def _imports(tree: ast.Module) -> dict[str, str]:
    """What each imported name stands for, dotted."""
    found: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                found[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module != "__future__":
            for alias in node.names:
                found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return found


def _uses(node: ast.stmt) -> list[str]:
    """In the order of the text, which a renaming leaves as it is."""
    parts = [part for part in ast.walk(node) if isinstance(part, ast.Name | ast.Attribute)]
    parts.sort(key=lambda part: (part.end_lineno or 0, part.end_col_offset or 0))
    return [part.id if isinstance(part, ast.Name) else part.attr for part in parts]


class _Plain(ast.NodeTransformer):
    """Rewrites one top-level statement. `names` are the module's own, `fixed` those that keep their spelling."""

    def __init__(self, imports: dict[str, str], names: dict[str, str], fixed: set[str]) -> None:
        self.imports, self.names, self.fixed = imports, names, fixed
        self.inner: dict[str, str] | None = None
        """Of the names that are bound inside the top-level function: it is renamed as a whole."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        outermost = self.inner is None
        if outermost:
            taken = self.fixed | self.names.keys() | self.imports.keys()
            own = [name for name in _bound(node) if name not in taken]
            self.inner = {name: f"_v{number}" for number, name in enumerate(own)}
        node.name = self._renamed(node.name)
        if node.body and _is_text(node.body[0]):
            node.body = node.body[1:] or [ast.Pass()]
        node.returns = None
        self.generic_visit(node)
        if outermost:
            self.inner = None
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        return ast.arg(self._renamed(node.arg))

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        value = self.visit(node.value) if node.value else None
        return ast.Assign([self.visit(node.target)], value) if value else ast.Pass()

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id in self.imports:
            first, *rest = self.imports[node.id].split(".")
            found: ast.expr = ast.Name(first, ast.Load())
            for attribute in rest:
                found = ast.Attribute(found, attribute, ast.Load())
            return found
        return ast.Name(self._renamed(node.id), node.ctx)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        whole = isinstance(node.value, int) and not isinstance(node.value, bool) and abs(node.value) < EXACT
        return ast.Constant(float(node.value) if whole else node.value)  # type: ignore[arg-type]

    def _renamed(self, name: str) -> str:
        return (self.inner or {}).get(name) or self.names.get(name, name)


def _bound(function: ast.FunctionDef) -> list[str]:
    """Every name that is given a meaning anywhere inside, in the order of the text."""
    places: dict[str, tuple[int, int]] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.arg):
            name = node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            name = node.id
        elif isinstance(node, ast.FunctionDef) and node is not function:
            name = node.name
        else:
            continue
        place = (node.lineno, node.col_offset)
        places[name] = min(place, places.get(name, place))
    return sorted(places, key=lambda name: places[name])


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
