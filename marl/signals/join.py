"""The reward functions of one module and the observation function of another, as one module."""

from __future__ import annotations

import ast

from marlsmith.schemas import SignalError


class _Rename(ast.NodeTransformer):
    def __init__(self, names: dict[str, str]) -> None:
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.Name:
        node.id = self.names.get(node.id, node.id)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self.generic_visit(node)
        node.name = self.names.get(node.name, node.name)
        return node


def _top_level(tree: ast.Module) -> set[str]:
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assigned = {
        name.id
        for node in tree.body
        if not isinstance(node, ast.FunctionDef)
        for name in ast.walk(node)
        if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
    }
    return functions | assigned


def join(reward_source: str, observation_source: str) -> str:
    """Reward functions of one module and the observation function of another, as one module.

    The unwanted entry functions are dropped, and helpers of the second that share a name with the first
    are renamed. Sources that do not parse are refused: SignalError.
    """
    try:
        reward, observation = ast.parse(reward_source), ast.parse(observation_source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise SignalError(f"does not parse: {error}") from None
    keep = {"agent_reward", "global_reward", "ALPHA"}
    reward.body = [n for n in reward.body if not _is_entry(n, {"enhance_observation", "stateEnhance", "SCOPE"})]
    observation.body = [n for n in observation.body if not _is_entry(n, keep)]
    shared = _top_level(reward) & _top_level(observation)
    observation = _Rename({name: f"{name}_of_observation" for name in shared}).visit(observation)
    future = [n for n in observation.body if isinstance(n, ast.ImportFrom) and n.module == "__future__"]
    observation.body = [n for n in observation.body if n not in future]
    return ast.unparse(reward) + "\n\n\n" + ast.unparse(observation) + "\n"


def _is_entry(node: ast.stmt, names: set[str]) -> bool:
    if isinstance(node, ast.FunctionDef):
        return node.name in names
    if isinstance(node, ast.Assign):
        return any(isinstance(target, ast.Name) and target.id in names for target in node.targets)
    return False
