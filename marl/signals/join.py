"""The reward functions of one module and the observation function of another, as one module."""

from __future__ import annotations

import ast

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
        shared = (_top_level(reward) & _top_level(observation)) - _same_imports(reward, observation)
        observation = _Rename({name: f"{name}_of_observation" for name in shared}).visit(observation)
        future = [n for n in observation.body if isinstance(n, ast.ImportFrom) and n.module == "__future__"]
        observation.body = [node for node in observation.body if node not in future]
        return ast.unparse(reward) + "\n\n\n" + ast.unparse(observation) + "\n"
    except (ValueError, RecursionError, MemoryError):
        raise SignalError("line 1: the code nests too deeply or holds broken characters: write it plainly") from None


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
