"""A candidate made to carry the columns that the policy already reads, so that a switch to it changes no action.

The policy of a main run has learned to read the features of the signal that it trains under, the incumbent's. A
candidate that comes from elsewhere has other features, or the same in another order. Its own come behind those of
the incumbent, which stay as they are: their weights stay too, and new columns enter with none.
"""

from __future__ import annotations

import ast
from typing import NamedTuple

from pydantic import ValidationError

from marlsmith.marl.signals.forms import ENTRIES, OBSERVATION_FORMS, Function, defined_functions
from marlsmith.marl.signals.join import OBSERVATION_NAMES, REWARD_NAMES, told_apart
from marlsmith.marl.signals.lasting import asks_for_main, stored
from marlsmith.marl.signals.source import parse
from marlsmith.marl.signals.static import checked_tree
from marlsmith.marl.signals.writer import to_code, write_configs
from marlsmith.schemas import Code, ObservationConfig, Scope, Signal, SignalError, TaskCard

RESERVED = ENTRIES | REWARD_NAMES | OBSERVATION_NAMES


def carried(incumbent: Signal, candidate: Signal, card: TaskCard) -> Signal:
    """The candidate's reward, with an observation that begins with the incumbent's columns, in their order.

    Two configurations are one configuration of both's features; where there is code, one module has both parts.
    Raises SignalError for a candidate that the static check refuses, and where both together are more than a signal
    may have.
    """
    first, second = incumbent.observation, candidate.observation
    if first is None or first == second:
        return candidate
    checked_tree(candidate, card)  # by itself, so that what is wrong has the line where it was written
    if second is None:
        observation: ObservationConfig | Code = first
    elif isinstance(first, ObservationConfig) and isinstance(second, ObservationConfig):
        observation = _union(first, second)
    else:
        observation = _both(_part(first, card), _part(second, card))
    signal = candidate.model_copy(update={"observation": observation})
    try:
        parse(to_code(signal, card))
    except SignalError as error:
        raise SignalError(f"with the features that the policy already reads, {error}") from None
    return signal


def _union(first: ObservationConfig, second: ObservationConfig) -> ObservationConfig:
    new = tuple(feature for feature in second.features if feature not in first.features)
    if not new:
        return first
    scope: Scope = "team" if "team" in (first.scope, second.scope) else "own"
    try:
        return ObservationConfig(scope=scope, features=first.features + new)
    except ValidationError:
        raise SignalError(
            f"the policy already reads {len(first.features)} features, and {len(new)} new ones are too many: propose "
            "fewer, or repeat those that it reads"
        ) from None


# ---------------------------------------------------------------- code


class _Part(NamedTuple):
    """An observation function with what it needs of its module."""

    tree: ast.Module
    name: str
    function: Function
    scope: Scope

    def told_apart(self, other: list[ast.stmt], mark: str) -> _Part:
        tree, names = told_apart(self.tree, ast.Module(other, []), mark, RESERVED)
        return self._replace(tree=tree, name=names.get(self.name, self.name))

    @property
    def wants_history(self) -> bool:
        return len(self.function.arguments) == 2

    @property
    def call(self) -> str:
        return f"{'self.' * self.function.wants_self}{self.name}(obs{', history' * self.wants_history})"


FRAME = "import torch\ndef enhance_observation(obs, history):\n    return torch.cat((), -1)\n"
"""Of the module that both parts are put into: names that are taken."""


def _part(observation: ObservationConfig | Code, card: TaskCard) -> _Part:
    written = observation.source if isinstance(observation, Code) else write_configs(None, observation, card)
    tree = parse(written)
    functions = defined_functions(tree)
    name = next(name for name in OBSERVATION_FORMS if name in functions)
    return _Part(_needed(tree, name), name, functions[name], _scope(tree))


def _scope(tree: ast.Module) -> Scope:
    scope: Scope = "own"
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id="SCOPE")], value=ast.Constant(value="own" | "team" as said)):
                scope = said
            case ast.AnnAssign(target=ast.Name(id="SCOPE"), value=ast.Constant(value="own" | "team" as said)):
                scope = said
            case _ if "SCOPE" in stored(node):
                raise SignalError(f'line {node.lineno}: SCOPE is computed: write SCOPE = "own" or SCOPE = "team"')
    return scope


def _needed(tree: ast.Module, entry: str) -> ast.Module:
    """The module without definitions that the function does not use: its reward, which another one may replace."""
    kept = [node for node in tree.body if entry in _gives(node) or not _only_defines(node)]
    while True:
        used = {word for node in kept for part in ast.walk(node) for word in _words(part)}
        more = [node for node in tree.body if node not in kept and _gives(node) & used]
        if not more:
            return ast.Module([node for node in tree.body if node in kept], [])
        kept += more


def _gives(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    return stored(node)


def _only_defines(node: ast.stmt) -> bool:
    match node:
        case ast.FunctionDef() | ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant()):
            return True
        case ast.Assign(targets=targets):
            return all(isinstance(target, ast.Name) for target in targets)
        case ast.AnnAssign(target=target):
            return isinstance(target, ast.Name)
    return asks_for_main(node) is not None


def _words(part: ast.AST) -> list[str]:
    match part:
        case ast.Name(id=word) | ast.Attribute(attr=word):
            return [word]
    return []


def _both(first: _Part, second: _Part) -> Code:
    """One module whose columns are those of the first part, and behind them those of the second."""
    frame = parse(FRAME)
    second = second.told_apart(frame.body, "added")
    first = first.told_apart([*frame.body, *second.tree.body], "carried")
    parts = (first, second)
    scope = "team" if "team" in {part.scope for part in parts} else "own"
    given = ["self"] * any(part.function.wants_self for part in parts)
    given += ["obs", *["history"] * any(part.wants_history for part in parts)]
    entry = parse(
        f"SCOPE = {scope!r}\n"
        f"def enhance_observation({', '.join(given)}):\n"
        '    """What the policy already reads, and what is new."""\n'
        f"    return torch.cat(({first.call}, {second.call}), -1)\n"
    )
    body: list[ast.stmt] = [frame.body[0]]
    for node in (*first.tree.body, *second.tree.body):
        if not isinstance(node, ast.Import | ast.ImportFrom) or ast.dump(node) not in map(ast.dump, body):
            body.append(node)
    return Code(source=ast.unparse(ast.fix_missing_locations(ast.Module([*body, *entry.body], []))) + "\n")
