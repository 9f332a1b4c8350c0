"""The first look at candidate code: only what is known to be pure, and useful, may stand in it.

An allowlist, because a denylist cannot work: more than a thousand modules can be reached from `torch`
without writing one underscore. It guards the results; the jail guards the host. Nothing is executed here.
Each refusal names the line, the fault and the remedy, for a model repairs its code from that sentence.
"""

from __future__ import annotations

import ast
from typing import Any

from marlsmith.marl.signals.allowed import (
    ALLOWED_NODES,
    ATTRIBUTE_REMEDIES,
    ATTRIBUTES,
    BUILTINS,
    CALLED_METHODS,
    CALLED_ONLY,
    COVERED_NODES,
    ERRORS,
    IN_PLACE,
    MODULES,
    NAME_READERS,
    NODE_REMEDIES,
    PATH_REMEDIES,
    PATHS,
    SAFE_BUILTINS,
    TYPES_ONLY,
    WORLD_ATTRIBUTES,
    words,
)
from marlsmith.marl.signals.calls import Calls
from marlsmith.marl.signals.forms import OBSERVATION_FORMS, REWARD_FORMS, require_functions, worlds
from marlsmith.marl.signals.lasting import require_kept
from marlsmith.marl.signals.literals import Literals
from marlsmith.marl.signals.names import Names
from marlsmith.marl.signals.problems import Problems, Remedy, closest
from marlsmith.marl.signals.source import foreign_names, parse, python, without_mark
from marlsmith.marl.signals.view import COMMON_FIELDS
from marlsmith.marl.signals.world import find_kind
from marlsmith.marl.signals.writer import to_code
from marlsmith.schemas import Code, Signal, TaskCard

ONLY_OF_WORLDS = words(WORLD_ATTRIBUTES)


def checked_tree(signal: Signal, card: TaskCard) -> ast.Module:
    """The tree of a signal's module, checked and not executed. Raises SignalError where code is refused."""
    for part, forms in ((signal.reward, REWARD_FORMS), (signal.observation, OBSERVATION_FORMS)):
        if isinstance(part, Code):
            tree = parse(part.source)
            require_functions(tree, forms)
            if forms is REWARD_FORMS and any(worlds(tree).values()):
                find_kind(card)
    return check_source(to_code(signal, card), state_fields(card), card.name)


def by_environment(signal: Signal) -> bool:
    """Whether a reward function is called for one environment at a time (LERO's published style): slow."""
    return isinstance(signal.reward, Code) and any(worlds(parse(signal.reward.source)).values())


def state_fields(card: TaskCard) -> frozenset[str]:
    return frozenset(COMMON_FIELDS) | {field.name for field in card.fields}


def check_source(source: str, state_fields: frozenset[str], task: str = "the task") -> ast.Module:
    """The tree of code in which everything is allowed. Raises SignalError with up to five problems.

    `state_fields` are what `state` has in the task that `task` names.
    """
    source = without_mark(source)
    tree = parse(source)
    check = _Check(tree, state_fields, task)
    problems = check.problems
    if not source.isascii():
        for line, name in foreign_names(source):
            problems.add(line, name, "use ASCII letters outside text")
    problems.raise_first()
    check.leave_out()
    return python(lambda: _compiled(tree))


def _compiled(tree: ast.Module) -> ast.Module:
    """A stray return or break shows only here. Only for trees of allowed nodes: nested `try` doubles the work."""
    compile(tree, "<signal>", "exec", dont_inherit=True)
    return tree


def _root(node: ast.expr) -> ast.expr:
    """Where a chain of attributes and calls begins."""
    while isinstance(node, ast.Attribute | ast.Call):
        node = node.value if isinstance(node, ast.Attribute) else node.func
    return node


def _called(node: ast.expr) -> ast.expr:
    return node.func if isinstance(node, ast.Call) else node


def _is_state(node: ast.expr) -> bool:
    """Whether this is `state` or `state.prev`, by name."""
    match node:
        case ast.Name(id="state") | ast.Attribute(value=ast.Name(id="state"), attr="prev"):
            return True
    return False


class _Check:
    """One pass over all nodes, without recursion."""

    def __init__(self, tree: ast.Module, state_fields: frozenset[str], task: str) -> None:
        self.problems = Problems()
        self._attributes = ATTRIBUTES | state_fields
        self._fields = state_fields
        self._field_names = ", ".join(sorted(state_fields)) or "none"
        self._task = task
        self._tree = tree
        self._replaced: dict[int, ast.AST] = {}  # id of a node -> what is compiled in its place
        nodes = list(ast.walk(tree))
        literals = Literals(tree)
        self._names = Names(tree, nodes, self.problems)
        self._calls = Calls(self._names, literals, self.problems)
        self._settled = set(self._names.judged)  # ids of nodes that a node above them has judged
        self._called: set[int] = set()  # ids of nodes that are called where they are named
        visitors = {
            ast.Name: self._name,
            ast.Attribute: self._attribute,
            ast.Call: self._call,
            ast.Subscript: self._subscript,
            ast.FunctionDef: self._function,
            ast.With: self._with,
            ast.Raise: self._raise,
            ast.Constant: self._constant,
            ast.BinOp: self._calls.check_repetition,
            ast.AugAssign: self._augmented,
            ast.Delete: self._delete,
            ast.FormattedValue: self._calls.check_format,
            ast.comprehension: self._comprehension,
        }
        for node in nodes:
            kind = type(node)
            if kind in visitors:
                visitors[kind](node)  # type: ignore[operator]  # each takes the node type of its key
            elif kind not in ALLOWED_NODES and not isinstance(node, COVERED_NODES):
                self._refuse(node, *NODE_REMEDIES.get(kind, (kind.__name__, "write it in plain Python")))
        for function in tree.body:
            if isinstance(function, ast.FunctionDef):
                require_kept(function, self._names.in_module, self.problems)
        for power, what in literals.explosions:
            self._refuse(power, f"this {what}, a number of thousands of digits,", "write a smaller number")

    def leave_out(self) -> None:
        """Takes what can have no effect out of the tree: the rest is what was checked, and what is compiled."""
        unused = self._names.unused
        if not unused and not self._replaced:
            return
        for node in list(ast.walk(self._tree)):
            if isinstance(node, ast.ImportFrom) and any(id(alias) in unused for alias in node.names):
                node.names = [alias for alias in node.names if id(alias) not in unused]
                if not node.names:
                    self._replaced[id(node)] = ast.copy_location(ast.Pass(), node)
        for node in list(ast.walk(self._tree)):
            for name, value in ast.iter_fields(node):
                if isinstance(value, list):
                    value[:] = [self._instead(item) for item in value]
                else:
                    setattr(node, name, self._instead(value))

    def _instead(self, item: Any) -> Any:
        while id(item) in self._replaced:
            item = self._replaced[id(item)]
        return item

    def _refuse(self, node: ast.AST, what: str, remedy: Remedy) -> None:
        self.problems.refuse(node, what, remedy)

    def _name(self, node: ast.Name) -> None:
        if id(node) in self._settled or isinstance(node.ctx, ast.Store) or node.id in self._names.refused:
            return
        name = node.id
        if name in self._names.aliases:
            if self._names.aliases[name] in MODULES:
                self._refuse(node, f"the module {name} as a value", f"call its functions, as in {name}.f(x)")
            self._check_value(node, self._names.aliases[name])
        elif name in NAME_READERS:
            self._refuse(node, f"{name} without a call", f'write {name}(x, "field")')
        elif name not in self._names.bound and name not in SAFE_BUILTINS:
            if name == "__name__":
                self._refuse(node, name, "leave the block out; the functions are called by themselves")
            elif name in BUILTINS or name.startswith("__"):
                self._refuse(node, name, "use torch, and plain builtins such as len, range and sum")
            else:
                guess = closest(name, lambda: self._names.bound | SAFE_BUILTINS, "define or import it")
                self._refuse(node, f"{name}, which is defined nowhere,", guess)

    def _check_value(self, node: ast.AST, path: str) -> None:
        """Some things may be named only where they are called, or where a type is asked for."""
        if path in TYPES_ONLY and id(node) not in self._names.typed:
            self._refuse_type(node, f"{path} as a value", path)
        elif path in CALLED_ONLY and id(node) not in self._called:
            self._refuse(node, f"{path} as a value", "call it where you name it")

    def _refuse_type(self, node: ast.AST, what: str, path: str) -> None:
        self._refuse(node, what, PATH_REMEDIES.get(path, "use torch.tensor or torch.zeros"))

    # -- attributes

    def _attribute(self, node: ast.Attribute) -> None:
        if id(node) in self._settled:
            return
        chain = [node]
        while isinstance(chain[-1].value, ast.Attribute):
            chain.append(chain[-1].value)
        chain.reverse()
        self._settled.update(map(id, chain))
        if not isinstance(node.ctx, ast.Load):
            self._refuse(node, f"assigning to .{node.attr}", "keep it in a local name and return it")
        root = chain[0].value
        rest = chain
        beginning = _root(root)
        if isinstance(beginning, ast.Name) and beginning.id in self._names.refused:
            return
        if isinstance(root, ast.Name) and root.id in self._names.aliases:
            self._settled.add(id(root))
            rest = self._follow(self._names.aliases[root.id], chain)
        elif isinstance(root, ast.Name) and root.id == "self" and chain[0].attr in self._names.methods:
            rest = chain[1:]
        for step in rest:
            self._check_attribute(step, step.value, step.attr)

    def _follow(self, path: str, chain: list[ast.Attribute]) -> list[ast.Attribute]:
        """Walk from a module to what the chain names in it; the attributes beyond that."""
        for depth, step in enumerate(chain):
            if path not in MODULES:
                return chain[depth:]
            path = f"{path}.{step.attr}"
            if path not in MODULES and path not in PATHS:
                self._names.refuse_path(step, path)
                return []
            if step is chain[-1]:
                self._check_value(step, path)
            elif path in TYPES_ONLY:
                self._refuse(step, f"{path} as a value", "use the method of a tensor, as in x.sum()")
        if path in MODULES:
            self._refuse(chain[-1], f"the module {path} as a value", f"call its functions, as in {path}.f(x)")
        return []

    def _check_attribute(self, node: ast.AST, owner: ast.expr, name: str) -> None:
        if name in CALLED_METHODS and not (isinstance(node, ast.Attribute) and id(node) in self._called):
            self._refuse(node, f".{name} without a call", "call it where you name it")
        if name in self._attributes or (name in IN_PLACE and self._names.is_fresh(owner)):
            return
        remedy: Remedy
        if name.startswith("_"):
            remedy = "use public tensor methods and state fields"
        elif name in ATTRIBUTE_REMEDIES:
            remedy = ATTRIBUTE_REMEDIES[name]
        elif name.endswith("_"):
            known = name[:-1] in self._attributes
            remedy = f"it works in place, use {f'.{name[:-1]}' if known else 'a new tensor'} and its result"
        else:
            # What only LERO's world objects have is no guess: the code that is checked here reads a state.
            if _is_state(owner):
                otherwise = f"{self._task} has no state.{name}; it has {self._field_names}"
                remedy = closest(name, lambda: self._fields, otherwise)
            else:
                otherwise = f"use tensor methods, or state's fields: {self._field_names}"
                remedy = closest(name, lambda: self._attributes - (ONLY_OF_WORLDS - self._fields), otherwise)
        self._refuse(node, f".{name}", remedy)

    # -- the other nodes with a condition

    def _call(self, node: ast.Call) -> None:
        self._called.add(id(node.func))
        match node:
            case ast.Call(func=ast.Name(id=name) as function) if name in NAME_READERS:
                self._settled.add(id(function))
                match node:
                    case ast.Call(args=[owner, ast.Constant(value=str(attribute)), *rest], keywords=[]) if len(
                        rest
                    ) <= 1 and not any(isinstance(item, ast.Starred) for item in node.args):
                        if not self._is_absent(owner, attribute) or (name == "getattr") != bool(rest):
                            self._check_attribute(node, owner, attribute)
                        else:  # the name is never looked up, whatever `state` may be
                            self._replaced[id(node)] = rest[0] if rest else ast.copy_location(ast.Constant(False), node)
                    case _:
                        self._refuse(node, f"{name} of a computed name", f'write {name}(x, "field")')
            case ast.Call(func=ast.Name() | ast.Attribute() as function) if self._names.path(function) in TYPES_ONLY:
                self._settled.update(map(id, ast.walk(function)))
                self._refuse_type(node, f"a call of {self._names.path(function)}", self._names.path(function))
        self._calls.check(node)

    def _is_absent(self, owner: ast.expr, name: str) -> bool:
        """Whether code asks if `state` has a field that other tasks may have, and this one has not."""
        return _is_state(owner) and name.isidentifier() and not name.startswith("_") and name not in self._attributes

    def _raise(self, node: ast.Raise) -> None:
        function = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        if node.cause is None and isinstance(function, ast.Name) and function.id in ERRORS - self._names.bound:
            self._settled.add(id(function))
        else:
            self._refuse(node, "this raise", 'raise ValueError("what is wrong"), or return a tensor in every case')

    def _constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bytes | complex):
            self._refuse(
                node,
                f"a {type(node.value).__name__} number" if isinstance(node.value, complex) else "bytes",
                "use plain numbers and texts",
            )

    def _augmented(self, node: ast.AugAssign) -> None:
        if isinstance(node.op, ast.Mod):
            self._refuse(node, "%=", "write x = x % y")

    def _delete(self, node: ast.Delete) -> None:
        """Of a local name: it does nothing that the end of the function would not do."""
        names = self._names
        for target in node.targets:
            name = target.id if isinstance(target, ast.Name) else ""
            if name not in names.bound or name in names.in_module or name in names.aliases:
                self._refuse(node, "del", "leave it out; locals end with the function")
            self._settled.add(id(target))

    def _subscript(self, node: ast.Subscript) -> None:
        if isinstance(node.ctx, ast.Load):
            return
        root: ast.expr = node
        while isinstance(root, ast.Subscript):
            root = root.value
        if not isinstance(root, ast.Name):
            self._refuse(node, "assigning into a field", "clone it to a local name first and assign into that")

    def _function(self, node: ast.FunctionDef) -> None:
        for decorator in node.decorator_list:
            root, path = _root(decorator), self._names.path(_called(decorator))
            known = isinstance(root, ast.Name) and root.id in self._names.refused
            if not known and not self._is_no_grad(decorator) and not self._refused_elsewhere(path):
                self._refuse(decorator, "this decorator", "leave it out; only @torch.no_grad() may stand here")

    def _refused_elsewhere(self, path: str) -> bool:
        """Whether `_follow` refuses this path at its first step out of a module."""
        return path.rpartition(".")[0] in MODULES and path not in PATHS

    def _with(self, node: ast.With) -> None:
        if any(item.optional_vars or not self._is_no_grad(item.context_expr) for item in node.items):
            self._refuse(node, "with", "leave it out; only torch.no_grad() may stand here")

    def _is_no_grad(self, node: ast.expr) -> bool:
        return (
            isinstance(node, ast.Call)
            and not node.args
            and not node.keywords
            and self._names.path(node.func) == "torch.no_grad"
        )

    def _comprehension(self, node: ast.comprehension) -> None:
        if node.is_async:
            self._refuse(node.target, "async", "write plain functions")
