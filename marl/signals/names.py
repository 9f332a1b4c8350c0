"""What the names of a module stand for: imports, bindings, and where a type may be named."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from marlsmith.marl.signals.allowed import (
    BUILTINS,
    IMPORT_REMEDIES,
    MODULES,
    NODE_REMEDIES,
    PATH_REMEDIES,
    PATHS,
    REUSABLE,
    TYPES_ONLY,
)
from marlsmith.marl.signals.forms import ENTRIES, defined_functions
from marlsmith.marl.signals.lasting import asks_for_main, stored
from marlsmith.marl.signals.problems import Problems, Remedy, closest

THERE = ", ".join(sorted({module.partition(".")[0] for module in MODULES}))
HELD = {
    parent: frozenset(path.rpartition(".")[2] for path, module in PATHS.items() if module == parent)
    for parent in MODULES
}
"""What may be used of each module, by name."""
TYPE_PARTS = (ast.Name, ast.Attribute, ast.Subscript, ast.Tuple, ast.List, ast.Constant)
"""Of an expression that says a type; with `|`. Anything else could hand the type on."""


class Names:
    """Read off the whole tree before it is walked."""

    def __init__(self, tree: ast.Module, nodes: list[ast.AST], problems: Problems) -> None:
        self._tree = tree
        self._nodes = nodes
        self._problems = problems
        self.aliases: dict[str, str] = {}  # name -> dotted path
        self.bound: set[str] = set()
        self.typed: set[int] = set()  # ids of nodes where a type may be named
        self.judged: set[int] = set()  # ids of nodes that need no further look
        self.refused: set[str] = set()  # names of refused things, each with a problem: no second one about them
        self.unused: dict[int, ast.alias] = {}  # refused imports that nothing uses, to be left out
        self.in_module = {name for node in tree.body for name in stored(node)}
        self.methods = {name for name, found in defined_functions(tree).items() if found.wants_self}
        self._arguments = {node.arg for node in nodes if isinstance(node, ast.arg)}
        self._functions = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
        self._other_than_functions = self._arguments | {
            node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }
        self.judged.update(id(name) for node in tree.body if (name := asks_for_main(node)))
        self._used: dict[str, list[ast.Name]] = {}
        for node in nodes:
            if isinstance(node, ast.Name):
                self._used.setdefault(node.id, []).append(node)
        self._imports()
        self._more_aliases()
        self._bindings()
        self._places_of_types()

    def is_own_function(self, node: ast.expr) -> bool:
        """Whether this names a function that the module defines, and can stand for nothing else; or `dict`."""
        if not isinstance(node, ast.Name) or node.id in self._other_than_functions:
            return False
        return node.id in self._functions or (node.id == "dict" and "dict" not in self.bound)

    def path(self, node: ast.expr) -> str:
        """The dotted path that an expression names, or nothing."""
        names: list[str] = []
        while isinstance(node, ast.Attribute):
            names.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id not in self.aliases:
            return ""
        return ".".join([self.aliases[node.id], *reversed(names)])

    def is_fresh(self, node: ast.expr) -> bool:
        """Whether this is the result of a call, or a local name that no argument has: not what was handed over."""
        if isinstance(node, ast.Name):
            handed_over = node.id in self._arguments or node.id in self.in_module or node.id in self.aliases
            return node.id in self.bound and not handed_over
        return isinstance(node, ast.Call)

    def _imports(self) -> None:
        for node in self._nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    path = alias.name if alias.asname else alias.name.partition(".")[0]
                    if self._importable(node, alias.name):
                        self._alias(node, alias.asname or path, path)
                    else:
                        self._give_up(alias.asname or path)
            elif isinstance(node, ast.ImportFrom):
                self._import_from(node)

    def _import_from(self, node: ast.ImportFrom) -> None:
        if node.level or not self._importable(node, node.module or ""):
            for alias in node.names:
                self._give_up(alias.asname or alias.name)
            if node.level:
                self._problems.refuse(node, "a relative import", "import torch, numpy or math")
            return
        for alias in node.names:
            path = f"{node.module}.{alias.name}"
            if node.module == "__future__" and alias.name == "annotations":
                continue
            if alias.name == "*":
                self._problems.refuse(
                    node, f"from {node.module} import *", f"import {node.module} and name what you use"
                )
            elif path in PATHS or path in MODULES:
                self._alias(node, alias.asname or alias.name, path)
            elif node.module == "__future__":
                self.refuse_path(node, path)
            else:
                self._refuse_uses(alias, alias.asname or alias.name, path)

    def _refuse_uses(self, alias: ast.alias, name: str, path: str) -> None:
        """What is imported and never named does nothing: it is left out of the tree."""
        uses = self._used.get(name, [])
        for use in uses:
            self.refuse_path(use, path)
        if uses:
            self._give_up(name)
        else:
            self.unused[id(alias)] = alias

    def _give_up(self, name: str) -> None:
        """Of something that is refused: once is enough."""
        self.bound.add(name)
        self.refused.add(name)

    def _importable(self, node: ast.AST, module: str) -> bool:
        if module in MODULES or (module == "__future__" and isinstance(node, ast.ImportFrom)):
            return True
        remedy = IMPORT_REMEDIES.get(module.partition(".")[0], f"only {THERE} are there")
        self._problems.refuse(node, f"import {module}", remedy)
        return False

    def refuse_path(self, node: ast.AST, path: str) -> None:
        parent, _, name = path.rpartition(".")
        siblings = HELD.get(parent, frozenset())
        remedy: Remedy
        if name.endswith("_") and name[:-1] in siblings:
            remedy = f"use {path[:-1]} and its result"
        elif parent == "torch.nn":
            remedy = _function_of(name)
        else:
            remedy = closest(name, lambda: siblings, "only pure functions of tensors and numbers are")
        self._problems.refuse(node, path, PATH_REMEDIES.get(path, remedy))

    def _alias(self, node: ast.AST, name: str, path: str) -> None:
        self._bind(node, name)
        if self.aliases.setdefault(name, path) != path:
            self._problems.refuse(node, f"{name} for both {self.aliases[name]} and {path}", "use two names")

    def _more_aliases(self) -> None:
        """`Tensor = torch.Tensor` at module level, or `F = torch.nn.functional`, is another way to import it."""
        for node in self._nodes:
            match node:
                case ast.Assign(targets=[ast.Name(id=name) as target], value=ast.Attribute() as module) if (
                    path := self.path(module)
                ) in MODULES:
                    self._alias(node, name, path)
                    self.judged.update((id(target), *map(id, ast.walk(module))))
        for node in self._tree.body:
            match node:
                case ast.Assign(targets=[ast.Name(id=name) as target], value=value) if (
                    path := self.path(value)
                ) in TYPES_ONLY:
                    self._alias(node, name, path)
                    self.judged.update((id(target), *map(id, ast.walk(value))))

    def _places_of_types(self) -> None:
        """Annotations, subscripts as in dict[str, Tensor], and where a type is asked for.

        A place counts only where nothing of the module's own could take the type and call it.
        """
        for node in self._nodes:
            places: list[ast.expr | None] = []
            match node:
                case ast.arg(annotation=annotation) | ast.AnnAssign(annotation=annotation):
                    places = [annotation]
                case ast.FunctionDef(returns=returns):
                    places = [returns]
                case ast.Subscript(value=value, slice=index, ctx=ast.Load()) if self._takes_types(node, value):
                    places = [index]
                case ast.Call(func=ast.Name(id="isinstance"), args=[_, kind]) if "isinstance" not in self.bound:
                    places = [kind]
                case ast.Call(func=ast.Attribute(attr="type"), args=[kind]) if "type" not in self.methods:
                    places = [kind]
                case ast.Call(func=function, args=[kind, _]) if self.path(function) == "typing.cast":
                    places = [kind]
            for place in places:
                if place is not None and id(place) not in self.typed:
                    self.typed.update(map(id, _type_parts(place)))

    def _takes_types(self, node: ast.Subscript, value: ast.expr) -> bool:
        path = self.path(value)
        if path == "typing.Union" and not isinstance(node.slice, ast.Tuple):  # of one type it is that type
            return id(node) in self.typed
        own = isinstance(value, ast.Name) and value.id in {"dict", "list", "tuple"} - self.bound
        return own or path.startswith("typing.")

    def _bindings(self) -> None:
        for node in self._nodes:
            match node:
                case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name) | ast.FunctionDef(name=name):
                    if id(node) in self.judged:
                        continue
                    self._bind(node, name)
                    if name in self.aliases:
                        self._problems.refuse(
                            node, f"giving {name} a new meaning", f"{name} is imported, take another name"
                        )
                case ast.ClassDef(name=name):
                    self._problems.refuse(node, *NODE_REMEDIES[ast.ClassDef])
                    self._give_up(name)
                case ast.Assign(
                    targets=[ast.Name(id=name)], value=ast.Call(func=ast.Name(id=maker)) | ast.Name(id=maker)
                ) if maker in self.refused and maker != name:
                    self._give_up(name)
        defined: set[str] = set()
        for node in self._tree.body:
            names = {node.name} if isinstance(node, ast.FunctionDef) else stored(node)
            for name in names & ENTRIES:
                if name in defined or not isinstance(node, ast.FunctionDef):
                    self._problems.refuse(
                        node, f"giving {name} a new meaning", "define it once, as a top-level function"
                    )
            defined |= names

    def _bind(self, node: ast.AST, name: str) -> None:
        self.bound.add(name)
        if name in BUILTINS - REUSABLE:
            self._problems.refuse(node, f"giving {name} a new meaning", "it is Python's own, take another name")
        elif name.startswith("__"):
            self._problems.refuse(node, f"the name {name}", "begin it with a letter")


def _function_of(name: str) -> str:
    """What to write instead of a class of torch.nn."""
    plain = name.lower().replace("_", "")
    for function in sorted(HELD["torch.nn.functional"]):
        if function.replace("_", "") in {plain, plain.removesuffix("loss")}:
            return f"use torch.nn.functional.{function}"
    return "use the functions of torch.nn.functional"


def _type_parts(place: ast.expr) -> Iterator[ast.expr]:
    """The nodes of an expression that says a type, down to where it says something else."""
    pending = [place]
    while pending:
        node = pending.pop()
        if isinstance(node, TYPE_PARTS) or (isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr)):
            yield node
            pending += [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]
