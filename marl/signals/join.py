"""The reward functions of one module and the observation function of another, as one module."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterable

from marlsmith.marl.signals.allowed import BUILTINS, IN_PLACE
from marlsmith.marl.signals.source import parse
from marlsmith.schemas import SignalError

REWARD_NAMES = {"agent_reward", "global_reward", "ALPHA"}
OBSERVATION_NAMES = {"enhance_observation", "stateEnhance", "SCOPE"}

Scoped = ast.FunctionDef | ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


def join(reward_source: str, observation_source: str) -> str:
    """The entry functions that are not wanted are dropped; names that both modules bind are told apart.

    Raises SignalError for a source that does not parse or is nested beyond what can be handled.
    """
    try:
        reward, observation = (parse(text) for text in (reward_source, observation_source))
        reward.body = [node for node in reward.body if not _binds(node) & OBSERVATION_NAMES]
        observation.body = [node for node in observation.body if not _binds(node) & REWARD_NAMES]
        observation, _ = told_apart(observation, reward, "of_observation")
        return ast.unparse(reward) + "\n\n\n" + ast.unparse(observation) + "\n"
    except (ValueError, RecursionError, MemoryError):
        raise SignalError("line 1: the code nests too deeply or holds broken characters: write it plainly") from None


def told_apart(
    tree: ast.Module, other: ast.Module, mark: str, reserved: Iterable[str] = ()
) -> tuple[ast.Module, dict[str, str]]:
    """The tree with other names where one name would mean two things in a module with `other`; old names to new ones.

    Module-level names that are `reserved` are changed too. New names end with the mark, and neither module has them.
    Imports from `__future__` go: they may stand at the beginning only.
    """
    tree.body = [node for node in tree.body if not isinstance(node, ast.ImportFrom) or node.module != "__future__"]
    taken = _identifiers(tree) | _identifiers(other)
    top = _top_level(tree)
    clashes = _clashes(tree, other) | (top & {*reserved})
    new = {name: _free(f"{name}_{mark}", taken) for name in sorted(clashes)}
    tree = _Rename({name: new[name] for name in clashes & top}).visit(tree)
    return _RenameEverywhere({name: new[name] for name in clashes - top}).visit(tree), new


def _free(name: str, taken: set[str]) -> str:
    free = next(n for n in itertools.chain([name], (f"{name}_{i}" for i in itertools.count(2))) if n not in taken)
    taken.add(free)
    return free


def _clashes(tree: ast.Module, other: ast.Module) -> set[str]:
    """Names of the tree that cannot keep their meaning beside the other module.

    Module-level names must differ. The checks go by names alone, for whole modules: so must what is imported
    anywhere, what is a function, and what is changed in place where the other module has an argument of that name.
    """
    mine, theirs = _Bound(tree), _Bound(other)
    lasting = mine.lasting | theirs.lasting
    in_place = (mine.in_place & theirs.arguments) | (theirs.in_place & mine.arguments)
    same = _same_imports(tree, other) - mine.inside - theirs.inside
    # A builtin that one function gives another meaning has its own in the next.
    settled = same | {"self"} | (BUILTINS - _top_level(tree))
    return (mine.all & theirs.all & (lasting | in_place)) - settled


class _Bound:
    """The names that a module gives a meaning, at any depth."""

    def __init__(self, tree: ast.Module) -> None:
        nodes = list(ast.walk(tree))
        self.arguments = {node.arg for node in nodes if isinstance(node, ast.arg)}
        stores = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        functions = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
        imports = {name for node in nodes if isinstance(node, ast.Import | ast.ImportFrom) for name in _binds(node)}
        modules = {name for node in nodes if isinstance(node, ast.Assign) for name in _modules(node, imports)}
        self.inside = self.arguments | stores | functions
        self.all = self.inside | imports
        self.lasting = _top_level(tree) | functions | imports | modules
        self.in_place = {
            node.value.id
            for node in nodes
            if isinstance(node, ast.Attribute) and node.attr in IN_PLACE and isinstance(node.value, ast.Name)
        }


def _modules(node: ast.Assign, imports: set[str]) -> set[str]:
    """`F = torch.nn.functional` is another way to import it."""
    root: ast.expr = node.value
    while isinstance(root, ast.Attribute):
        root = root.value
    direct = isinstance(node.value, ast.Attribute) and isinstance(root, ast.Name) and root.id in imports
    return {target.id for target in node.targets if isinstance(target, ast.Name)} if direct else set()


def _identifiers(tree: ast.Module) -> set[str]:
    """Every word of the module that could be taken for a name."""
    found = {part for node in ast.walk(tree) for part in vars(node).values() if isinstance(part, str)}
    return found | _top_level(tree)


class _RenameEverywhere(ast.NodeTransformer):
    """Renames what is no module-level name, wherever it stands; keywords in calls of the module's own functions."""

    def __init__(self, names: dict[str, str]) -> None:
        self.names = names
        self.functions: set[str] = set()

    def visit_Module(self, node: ast.Module) -> ast.Module:
        self.functions = {part.name for part in ast.walk(node) if isinstance(part, ast.FunctionDef)}
        self.generic_visit(node)
        return node

    def visit_Call(self, node: ast.Call) -> ast.Call:
        match node.func:
            case ast.Name(id=name) | ast.Attribute(value=ast.Name(id="self"), attr=name) if name in self.functions:
                for keyword in node.keywords:
                    keyword.arg = self.names.get(keyword.arg or "", keyword.arg)
        self.generic_visit(node)
        return node

    def visit_Name(self, node: ast.Name) -> ast.Name:
        node.id = self.names.get(node.id, node.id)
        return node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.arg = self.names.get(node.arg, node.arg)
        self.generic_visit(node)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.name = self.names.get(node.name, node.name)
        self.generic_visit(node)
        return node

    def visit_alias(self, node: ast.alias) -> ast.alias:
        bound = node.asname or node.name
        if bound in self.names:
            node.asname = self.names[bound]
        return node


class _Rename(ast.NodeTransformer):
    """Renames what stands for a module's own name, and leaves what a function calls so for itself."""

    def __init__(self, names: dict[str, str]) -> None:
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.Name:
        node.id = self.names.get(node.id, node.id)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.Attribute:
        if isinstance(node.value, ast.Name) and node.value.id == "self":  # a function of the module, as a method
            node.attr = self.names.get(node.attr, node.attr)
        self.generic_visit(node)
        return node

    def visit_alias(self, node: ast.alias) -> ast.alias:
        bound = node.asname or node.name
        if bound in self.names:
            node.asname = self.names[bound]
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.name = self.names.get(node.name, node.name)
        self._inside(node)
        return node

    def _inside(self, node: Scoped) -> Scoped:
        outer, own = self.names, _bound_inside(node)
        self.names = {name: new for name, new in outer.items() if name not in own}
        self.generic_visit(node)
        self.names = outer
        return node

    visit_Lambda = visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _inside


def _bound_inside(scope: Scoped) -> set[str]:
    """Parameters and assigned names of a scope, without those of the scopes inside it."""
    found: set[str] = set()
    pending: list[ast.AST] = list(ast.iter_child_nodes(scope))
    while pending:
        node = pending.pop()
        if isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.FunctionDef):
            found.add(node.name)
        if not isinstance(node, Scoped):
            pending += ast.iter_child_nodes(node)
    return found


def _top_level(tree: ast.Module) -> set[str]:
    return {name for node in tree.body for name in _binds(node)}


def _same_imports(one: ast.Module, other: ast.Module) -> set[str]:
    """What both modules import under the same name from the same place: no conflict."""
    here, there = (
        {
            (ast.dump(node), name)
            for node in tree.body
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in _binds(node)
        }
        for tree in (one, other)
    )
    return {name for _, name in here & there}


def _binds(node: ast.stmt) -> set[str]:
    """The names that a top-level statement gives a meaning."""
    match node:
        case ast.FunctionDef(name=name):
            return {name}
        case ast.ImportFrom(module="__future__"):
            return set()
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            return {alias.asname or alias.name for alias in names if "." not in (alias.asname or alias.name)}
        case _:
            stored = (n for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
            return {name.id for name in stored}
