"""The first look at candidate code: only what is known to be pure, and useful, may stand in it.

An allowlist, because a denylist cannot work: more than a thousand modules can be reached from `torch`
without writing one underscore. It guards the results; the jail guards the host.
Each refusal names the line, the fault and the remedy, for a model repairs its code from that sentence.
"""

from __future__ import annotations

import ast
import difflib
import io
import re
import tokenize
import unicodedata
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from marlsmith.marl.signals.allowed import (
    ALLOWED_NODES,
    ATTRIBUTE_REMEDIES,
    ATTRIBUTES,
    BUILTINS,
    CALLED_METHODS,
    CALLED_ONLY,
    COVERED_NODES,
    DTYPE_READERS,
    DTYPE_TEXTS,
    ERRORS,
    GROWING,
    IMPORT_REMEDIES,
    IN_PLACE,
    KEYWORD_REMEDIES,
    MODULES,
    MOST,
    MOST_GROWING,
    MUTATORS,
    NAME_READERS,
    NODE_REMEDIES,
    PATH_REMEDIES,
    PATHS,
    REUSABLE,
    SAFE_BUILTINS,
    SIZED,
    TYPES_ONLY,
    WORLD_ATTRIBUTES,
    words,
)
from marlsmith.marl.signals.literals import Literals, shown, too_large
from marlsmith.schemas import SignalError, printable

SOURCE_LIMIT = 100_000
PROBLEM_LIMIT = 5
FAULT_LIMIT, CURE_LIMIT = 150, 400
"""Characters of a sentence."""
DEPTH_LIMIT = 200

Remedy = str | Callable[[], str]


def _closest(name: str, known: Iterable[str], otherwise: str) -> Callable[[], str]:
    """A guess at what was meant: slow, so it is made only for problems that are shown."""

    def remedy() -> str:
        close = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.75) if len(name) > 3 else []
        return f"did you mean {close[0]}?" if close else otherwise

    return remedy


# ---------------------------------------------------------------- the doors


def parse(source: str) -> ast.Module:
    """The module's tree, and nothing of it executed. Raises SignalError for what Python would not compile."""
    size = len(source.encode("utf-8", "surrogatepass"))
    if size > SOURCE_LIMIT:
        raise SignalError(f"the code has {size} bytes and may have {SOURCE_LIMIT}: shorten it")
    _require_plain_text(source)
    tree = _python(lambda: ast.parse(without_mark(source), "<signal>"))
    _require_shallow(tree)
    return tree


def _require_shallow(tree: ast.Module) -> None:
    """What is nested beyond this would be work for stacks, here and in the compiler."""
    level: list[ast.AST] = [tree]
    for _ in range(DEPTH_LIMIT):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return
    line = next((node.lineno for node in level if isinstance(node, ast.expr | ast.stmt)), 1)
    raise SignalError(f"line {line}: the code nests too deeply: write it plainly")


def without_mark(source: str) -> str:
    """The source without the byte order mark that some editors put before it."""
    return source.removeprefix("\ufeff")


def _python(read: Callable[[], ast.Module]) -> ast.Module:
    try:
        return read()
    except SyntaxError as error:
        raise SignalError(
            f"line {error.lineno or 1}: syntax error, {printable(error.msg, CURE_LIMIT)}: correct it"
        ) from None
    except (ValueError, MemoryError, RecursionError) as error:
        fault = "nests too deeply" if isinstance(error, MemoryError | RecursionError) else "holds broken characters"
        raise SignalError(f"line 1: the code {fault}: write it plainly") from None


def _compiled(tree: ast.Module) -> ast.Module:
    """A stray return or break shows only here. Only for trees of allowed nodes: nested `try` doubles the work."""
    compile(tree, "<signal>", "exec", dont_inherit=True)
    return tree


# Python would tell the user of odd literals in candidate code.
warnings.filterwarnings("ignore", module=r"<signal>")

COOKIE = re.compile(r"[ \t\f]*#.*?coding[:=][ \t]*([-_.a-zA-Z0-9]+)")


def _require_plain_text(source: str) -> None:
    """What is read must be what runs, here and from a file: no hidden characters, no other encoding."""
    for number, line in enumerate(source[:200].split("\n")[:2], 1):
        cookie = COOKIE.match(without_mark(line))
        if cookie and cookie[1].lower().replace("_", "-") not in {"utf-8", "utf8", "ascii", "us-ascii"}:
            raise SignalError(
                f"line {number}: the encoding {cookie[1]:.40} is not allowed: leave it out, code is UTF-8"
            )
    if source.isascii() and source.isprintable():
        return
    for number, line in enumerate(without_mark(source).split("\n"), 1):
        text = line.removesuffix("\r")
        if text.isascii() and text.isprintable():
            continue
        for character in text:
            if unicodedata.category(character) in HIDDEN and character not in "\t\f":
                raise SignalError(
                    f"line {number}: the invisible character U+{ord(character):04X} is not allowed: delete it"
                )


HIDDEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
"""Control, format (bidirectional text, zero width), surrogates, private use, line and paragraph separators."""


def check_source(source: str, state_fields: frozenset[str], task: str = "the task") -> ast.Module:
    """The tree of code in which everything is allowed. Raises SignalError with up to five problems.

    `state_fields` are what `state` has in the task that `task` names.
    """
    source = without_mark(source)
    tree = parse(source)
    problems: dict[tuple[int, str], Remedy] = _Check(tree, state_fields, task).problems
    if not source.isascii():
        problems.update(((line, name), "use ASCII letters outside text") for line, name in _foreign_names(source))
    if problems:
        shown = sorted(problems)[:PROBLEM_LIMIT]
        sentences = tuple(_sentence(line, what, problems[line, what]) for line, what in shown)
        raise SignalError("; ".join(sentences), problems=sentences)
    return _python(lambda: _compiled(tree))


def _sentence(line: int, what: str, remedy: Remedy) -> str:
    # Names and texts of the code stand in it, and it goes to terminals and prompts.
    fault, cure = printable(what, FAULT_LIMIT), printable(remedy if isinstance(remedy, str) else remedy(), CURE_LIMIT)
    return f"line {line}: {fault} is not allowed: {cure}"


def _is_state(node: ast.expr) -> bool:
    """Whether this is `state` or `state.prev`, by name."""
    match node:
        case ast.Name(id="state") | ast.Attribute(value=ast.Name(id="state"), attr="prev"):
            return True
    return False


@dataclass(frozen=True)
class Function:
    """A top-level function by the names of the arguments that it needs; a leading `self` stands apart."""

    arguments: tuple[str, ...]
    wants_self: bool

    @property
    def of_world(self) -> bool:
        """Whether it is in LERO's published style, of world objects instead of tensors."""
        return self.arguments[-1:] == ("world",)


def defined_functions(tree: ast.Module) -> dict[str, Function]:
    """Top-level functions: parameters with a default do not count."""
    return {node.name: _function(node) for node in tree.body if isinstance(node, ast.FunctionDef)}


def _function(node: ast.FunctionDef) -> Function:
    names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
    needed = names[: len(names) - len(node.args.defaults)]
    wants_self = needed[:1] == ["self"]
    return Function(tuple(needed[wants_self:]), wants_self)


Forms = Mapping[str, tuple[str, ...]]
REWARD_FORMS: dict[str, tuple[str, ...]] = {
    "agent_reward": ("state", "agent, world"),
    "global_reward": ("state", "world"),
}
OBSERVATION_FORMS: dict[str, tuple[str, ...]] = {
    "enhance_observation": ("obs", "obs, history"),
    "stateEnhance": ("obs", "obs, history"),
}
ENTRIES = frozenset(REWARD_FORMS | OBSERVATION_FORMS)


def require_functions(tree: ast.Module, forms: Forms = REWARD_FORMS | OBSERVATION_FORMS) -> None:
    """Raises SignalError where the module defines no entry point of these, or one with other parameters.

    Each form may have a `self` before it.
    """
    defined = {name: found for name, found in defined_functions(tree).items() if name in forms}
    if not defined:
        wanted = ", ".join(f"{name}({form[0]})" for name, form in forms.items() if name != "stateEnhance")
        raise SignalError(f"defines none of {wanted}: write at least one of them as a top-level function")
    for name, found in defined.items():
        of_world, count = found.of_world, len(found.arguments)
        if not any((form.endswith("world")) == of_world and len(form.split(", ")) == count for form in forms[name]):
            right = " or ".join(f"{name}({form})" for form in forms[name])
            given = ("self, " if found.wants_self else "") + ", ".join(found.arguments)
            given = printable(given, FAULT_LIMIT)
            raise SignalError(f"{name}({given}) has other arguments than it is given: write it as {right}")


def _foreign_names(source: str) -> Iterator[tuple[int, str]]:
    """Names outside ASCII: Python folds look-alikes into ASCII, so what is read is not what runs."""
    text = {tokenize.STRING, tokenize.COMMENT, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type not in text and not token.string.isascii():
                yield token.start[0], f"the name {token.string!r}"
    except (tokenize.TokenError, SyntaxError):
        yield 1, "a name outside ASCII"


# ---------------------------------------------------------------- the walk


class _Check:
    """One pass over all nodes, without recursion. A problem is a line and a sentence."""

    def __init__(self, tree: ast.Module, state_fields: frozenset[str], task: str) -> None:
        self.problems: dict[tuple[int, str], Remedy] = {}
        self._attributes = ATTRIBUTES | state_fields
        self._fields = state_fields
        self._task = task
        self._tree = tree
        self._nodes = list(ast.walk(tree))
        self._literals = Literals(tree)
        self._aliases: dict[str, str] = {}  # name -> dotted path
        self._bound: set[str] = set()
        self._arguments = {node.arg for node in self._nodes if isinstance(node, ast.arg)}
        self._module_names = {name for node in tree.body for name in _stored(node)}
        self._methods = {name for name, found in defined_functions(tree).items() if found.wants_self}
        self._settled: set[int] = set()  # ids of nodes that a node above them has judged
        self._called: set[int] = set()  # ids of nodes that are called where they are named
        self._typed: set[int] = set()  # ids of nodes where a type may be named
        visitors = {
            ast.Name: self._name,
            ast.Attribute: self._attribute,
            ast.Call: self._call,
            ast.Subscript: self._subscript,
            ast.FunctionDef: self._function,
            ast.With: self._with,
            ast.Raise: self._raise,
            ast.Constant: self._constant,
            ast.BinOp: self._repetition,
            ast.AugAssign: self._augmented,
            ast.FormattedValue: self._formatted,
            ast.comprehension: self._comprehension,
        }
        self._imports()
        self._type_aliases()
        self._bindings()
        self._places_of_types()
        for node in self._nodes:
            kind = type(node)
            if kind in visitors:
                visitors[kind](node)  # type: ignore[operator]  # each takes the node type of its key
            elif kind not in ALLOWED_NODES and not isinstance(node, COVERED_NODES):
                self._refuse(node, *NODE_REMEDIES.get(kind, (kind.__name__, "write it in plain Python")))
        for function in tree.body:
            if isinstance(function, ast.FunctionDef):
                self._require_kept(function)
        for power, what in self._literals.explosions:
            self._refuse(power, f"this {what}, a number of thousands of digits,", "write a smaller number")

    def _refuse(self, node: ast.AST, what: str, remedy: Remedy) -> None:
        self.problems[getattr(node, "lineno", 1), what] = remedy

    # -- names

    def _imports(self) -> None:
        for node in self._nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    if self._importable(node, alias.name):
                        path = alias.name if alias.asname else alias.name.partition(".")[0]
                        self._alias(node, alias.asname or path, path)
            elif isinstance(node, ast.ImportFrom):
                self._import_from(node)

    def _import_from(self, node: ast.ImportFrom) -> None:
        if node.level or not self._importable(node, node.module or ""):
            if node.level:
                self._refuse(node, "a relative import", "import torch, numpy or math")
            return
        for alias in node.names:
            path = f"{node.module}.{alias.name}"
            if node.module == "__future__" and alias.name == "annotations":
                continue
            if alias.name == "*":
                self._refuse(node, f"from {node.module} import *", f"import {node.module} and name what you use")
            elif path in PATHS or path in MODULES:
                self._alias(node, alias.asname or alias.name, path)
            else:
                self._refuse_path(node, path)

    def _importable(self, node: ast.AST, module: str) -> bool:
        if module in MODULES or (module == "__future__" and isinstance(node, ast.ImportFrom)):
            return True
        remedy = IMPORT_REMEDIES.get(module.partition(".")[0], "only torch, numpy, math and typing are there")
        self._refuse(node, f"import {module}", remedy)
        return False

    def _alias(self, node: ast.AST, name: str, path: str) -> None:
        self._bind(node, name)
        if self._aliases.setdefault(name, path) != path:
            self._refuse(node, f"{name} for both {self._aliases[name]} and {path}", "use two names")

    def _type_aliases(self) -> None:
        """`Tensor = torch.Tensor` at module level is another way to import it."""
        for node in self._tree.body:
            match node:
                case ast.Assign(targets=[ast.Name(id=name) as target], value=value) if (
                    path := self._path(value)
                ) in TYPES_ONLY:
                    self._alias(node, name, path)
                    self._settled.update((id(target), *map(id, ast.walk(value))))

    def _places_of_types(self) -> None:
        """Annotations, subscripts as in dict[str, Tensor], and where a type is asked for."""
        for node in self._nodes:
            places: list[ast.expr | None] = []
            match node:
                case ast.arg(annotation=annotation) | ast.AnnAssign(annotation=annotation):
                    places = [annotation]
                case ast.FunctionDef(returns=returns):
                    places = [returns]
                case ast.Subscript(value=value, slice=index) if self._path(value).startswith("typing.") or (
                    isinstance(value, ast.Name) and value.id in {"dict", "list", "tuple"}
                ):
                    places = [index]
                case ast.Call(func=ast.Name(id="isinstance"), args=[_, kind]):
                    places = [kind]
                case ast.Call(func=ast.Attribute(attr="type" | "to"), args=[kind]):
                    places = [kind]
                case ast.Call(func=function, args=[kind, _]) if self._path(function) == "typing.cast":
                    places = [kind]
            for place in places:
                if place is not None:
                    self._typed.update(map(id, ast.walk(place)))

    def _bindings(self) -> None:
        for node in self._nodes:
            match node:
                case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name) | ast.FunctionDef(name=name):
                    if id(node) in self._settled:
                        continue
                    self._bind(node, name)
                    if name in self._aliases:
                        self._refuse(node, f"giving {name} a new meaning", f"{name} is imported, take another name")
        defined: set[str] = set()
        for node in self._tree.body:
            names = {node.name} if isinstance(node, ast.FunctionDef) else _stored(node)
            for name in names & ENTRIES:
                if name in defined or not isinstance(node, ast.FunctionDef):
                    self._refuse(node, f"giving {name} a new meaning", "define it once, as a top-level function")
            defined |= names

    def _bind(self, node: ast.AST, name: str) -> None:
        self._bound.add(name)
        if name in BUILTINS - REUSABLE:
            self._refuse(node, f"giving {name} a new meaning", "it is Python's own, take another name")
        elif name.startswith("__"):
            self._refuse(node, f"the name {name}", "begin it with a letter")

    def _name(self, node: ast.Name) -> None:
        if id(node) in self._settled or isinstance(node.ctx, ast.Store):
            return
        name = node.id
        if name in self._aliases:
            if self._aliases[name] in MODULES:
                self._refuse(node, f"the module {name} as a value", f"call its functions, as in {name}.f(x)")
            self._check_value(node, self._aliases[name])
        elif name in NAME_READERS:
            self._refuse(node, f"{name} without a call", f'write {name}(x, "field")')
        elif name not in self._bound and name not in SAFE_BUILTINS:
            if name == "__name__":
                self._refuse(node, name, "leave the block out; the functions are called by themselves")
            elif name in BUILTINS or name.startswith("__"):
                self._refuse(node, name, "use torch, and plain builtins such as len, range and sum")
            else:
                known = frozenset(self._bound | SAFE_BUILTINS)
                self._refuse(node, f"{name}, which is defined nowhere,", _closest(name, known, "define or import it"))

    def _check_value(self, node: ast.AST, path: str) -> None:
        """Some things may be named only where they are called, or where a type is asked for."""
        if path in TYPES_ONLY and id(node) not in self._typed:
            self._refuse(node, f"{path} as a value", "use torch.tensor or torch.zeros")
        elif path in CALLED_ONLY and id(node) not in self._called:
            self._refuse(node, f"{path} as a value", "call it where you name it")

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
        if isinstance(root, ast.Name) and root.id in self._aliases:
            self._settled.add(id(root))
            rest = self._follow(self._aliases[root.id], chain)
        elif isinstance(root, ast.Name) and root.id == "self" and chain[0].attr in self._methods:
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
                self._refuse_path(step, path)
                return []
            if step is chain[-1]:
                self._check_value(step, path)
            elif path in TYPES_ONLY:
                self._refuse(step, f"{path} as a value", "use the method of a tensor, as in x.sum()")
        if path in MODULES:
            self._refuse(chain[-1], f"the module {path} as a value", f"call its functions, as in {path}.f(x)")
        return []

    def _refuse_path(self, node: ast.AST, path: str) -> None:
        parent, _, name = path.rpartition(".")
        siblings = frozenset(known.rpartition(".")[2] for known, module in PATHS.items() if module == parent)
        remedy: Remedy
        if name.endswith("_") and name[:-1] in siblings:
            remedy = f"use {path[:-1]} and its result"
        else:
            remedy = _closest(name, siblings, "only pure functions of tensors and numbers are")
        self._refuse(node, path, PATH_REMEDIES.get(path, remedy))

    def _check_attribute(self, node: ast.AST, owner: ast.expr, name: str) -> None:
        if name in CALLED_METHODS and not (isinstance(node, ast.Attribute) and id(node) in self._called):
            self._refuse(node, f".{name} without a call", "call it where you name it")
        if name in self._attributes or (name in IN_PLACE and self._is_fresh(owner)):
            return
        remedy: Remedy
        if name.startswith("_"):
            remedy = "use public tensor methods and state fields"
        elif name.endswith("_"):
            known = name[:-1] in self._attributes
            remedy = f"it works in place, use {f'.{name[:-1]}' if known else 'a new tensor'} and its result"
        elif name in ATTRIBUTE_REMEDIES:
            remedy = ATTRIBUTE_REMEDIES[name]
        else:
            fields = ", ".join(sorted(self._fields)) or "none"
            # What only LERO's world objects have is no guess: the code that is checked here reads a state.
            if _is_state(owner):
                remedy = _closest(name, self._fields, f"{self._task} has no state.{name}; it has {fields}")
            else:
                guesses = self._attributes - (words(WORLD_ATTRIBUTES) - self._fields)
                remedy = _closest(name, guesses, f"use tensor methods, or state's fields: {fields}")
        self._refuse(node, f".{name}", remedy)

    def _is_fresh(self, node: ast.expr) -> bool:
        """Whether this is the result of a call, or a local name that no argument has: not what was handed over."""
        if isinstance(node, ast.Name):
            handed_over = self._arguments | self._module_names | set(self._aliases)
            return node.id in self._bound and node.id not in handed_over
        return isinstance(node, ast.Call)

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
                        self._check_attribute(node, owner, attribute)
                    case _:
                        self._refuse(node, f"{name} of a computed name", f'write {name}(x, "field")')
            case ast.Call(func=ast.Name() | ast.Attribute() as function) if self._path(function) in TYPES_ONLY:
                self._settled.update(map(id, ast.walk(function)))
                self._refuse(node, f"a call of {self._path(function)}", "use torch.tensor or torch.zeros")
        for keyword in node.keywords:
            if keyword.arg in KEYWORD_REMEDIES:
                self._refuse(node, f"{keyword.arg}=", KEYWORD_REMEDIES[keyword.arg])
        path = self._path(node.func)
        if path or isinstance(node.func, ast.Attribute):
            self._check_arguments(node, path)
        name = node.func.id if isinstance(node.func, ast.Name) and not path else path
        if isinstance(node.func, ast.Attribute) and not path:
            name = node.func.attr
        self._check_sizes(node, name)

    def _check_arguments(self, node: ast.Call, path: str) -> None:
        """Of a library's function or a method: its keywords must be readable, and so must a dtype."""
        for keyword in node.keywords:
            if keyword.arg is None:
                self._refuse(node, "** in a call of a library's function", "write the keywords out")
            elif keyword.arg == "where":
                self._refuse(node, "where=", "it leaves places unwritten, use np.where on the result")
            elif keyword.arg == "dtype" and not path.startswith("torch"):
                self._check_dtype(keyword.value)
            elif keyword.arg == "device":
                self._check_device(keyword.value)
        method = node.func.attr if isinstance(node.func, ast.Attribute) and not path else ""
        if method == "astype" and node.args:
            self._check_dtype(node.args[0])
        if method == "view" and any(
            isinstance(item, ast.Constant) and isinstance(item.value, str) for item in node.args
        ):
            self._refuse(node, "a text in .view()", "write the shape, or a dtype of torch")
        if method == "to" or path == "torch.device":
            for argument in node.args:
                self._check_device(argument)
        allowed = DTYPE_READERS.get(path)
        if allowed is not None and (
            len(node.args) > allowed or any(isinstance(argument, ast.Starred) for argument in node.args)
        ):
            for argument in node.args[allowed:]:
                if isinstance(argument, ast.Starred) or not self._is_dtype(argument):
                    self._refuse(
                        node, f"more than {allowed} arguments of {path} without names", "write dtype=np.float32"
                    )
            if any(isinstance(argument, ast.Starred) for argument in node.args):
                self._refuse(node, f"* in a call of {path}", "write the arguments out")

    def _check_dtype(self, node: ast.expr) -> None:
        if not self._is_dtype(node):
            self._refuse(node, "this dtype", "write it as np.float32, np.int64, float, int, bool or x.dtype")

    def _is_dtype(self, node: ast.expr) -> bool:
        match node:
            case ast.Constant(value=None):
                return True
            case ast.Constant(value=str(name)):
                return name in DTYPE_TEXTS
            case ast.Name(id="float" | "int" | "bool" as name):
                return name not in self._bound
            case ast.Attribute(attr="dtype"):
                return True
            case ast.Name() | ast.Attribute():
                return self._path(node) in PATHS
        return False

    def _check_device(self, node: ast.expr) -> None:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and not re.match("cpu|cuda", node.value):
            self._refuse(node, f"the device {node.value!a:.20}", "use obs.device or leave it out")

    def _check_sizes(self, node: ast.Call, name: str) -> None:
        most = MOST_GROWING if name in GROWING else MOST
        if name not in SIZED and name not in GROWING:
            return
        count = 1 if SIZED.get(name) == "first" else len(node.args)
        named = [keyword.value for keyword in node.keywords if keyword.arg not in {"fill_value", "dtype", "device"}]
        for argument in [*node.args[:count], *named]:
            large = too_large(self._literals, argument, most)
            if large is not None:
                self._refuse(node, f"{name} of {shown(large)}", f"take at most {most}")

    def _require_kept(self, function: ast.FunctionDef) -> None:
        """What stands at module level is the same in every call: a function that writes into it wants to remember."""
        inner = list(ast.walk(function))
        own = {node.id for node in inner if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        shared = self._module_names - own - {node.arg for node in inner if isinstance(node, ast.arg)}
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
            if isinstance(owner, ast.Name) and owner.id in shared:
                self._refuse(
                    node,
                    f"changing {owner.id}, which stands at module level,",
                    "keep no state, make it in the function",
                )

    def _raise(self, node: ast.Raise) -> None:
        function = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        if node.cause is None and isinstance(function, ast.Name) and function.id in ERRORS - self._bound:
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

    def _repetition(self, node: ast.BinOp) -> None:
        """`[0] * n` and `"x" * n` with a large n."""
        if not isinstance(node.op, ast.Mult):
            return
        for one, other in ((node.left, node.right), (node.right, node.left)):
            repeated = isinstance(one, ast.List | ast.Tuple | ast.JoinedStr) or (
                isinstance(one, ast.Constant) and isinstance(one.value, str)
            )
            times = self._literals.value(other)
            if repeated and times is not None and times > MOST:
                self._refuse(node, f"a repetition of {shown(times)}", f"take at most {MOST}")

    def _augmented(self, node: ast.AugAssign) -> None:
        if isinstance(node.op, ast.Mod):
            self._refuse(node, "%=", "write x = x % y")

    def _formatted(self, node: ast.FormattedValue) -> None:
        if node.format_spec is not None and any(
            isinstance(part, ast.Constant) and re.search(r"\d{3}", str(part.value))
            for part in ast.walk(node.format_spec)
        ):
            self._refuse(node, "a format as wide as this", "use at most two digits")

    def _path(self, node: ast.expr) -> str:
        """The dotted path that an expression names, or nothing."""
        names: list[str] = []
        while isinstance(node, ast.Attribute):
            names.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id not in self._aliases:
            return ""
        return ".".join([self._aliases[node.id], *reversed(names)])

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
            if not self._is_no_grad(decorator):
                self._refuse(node, "this decorator", "leave it out; only @torch.no_grad() may stand here")

    def _with(self, node: ast.With) -> None:
        if any(item.optional_vars or not self._is_no_grad(item.context_expr) for item in node.items):
            self._refuse(node, "with", "leave it out; only torch.no_grad() may stand here")

    def _is_no_grad(self, node: ast.expr) -> bool:
        return (
            isinstance(node, ast.Call)
            and not node.args
            and not node.keywords
            and self._path(node.func) == "torch.no_grad"
        )

    def _comprehension(self, node: ast.comprehension) -> None:
        if node.is_async:
            self._refuse(node.target, "async", "write plain functions")


def _stored(node: ast.stmt) -> set[str]:
    """Names that a top-level statement gives a meaning; what a function stores is its own."""
    if isinstance(node, ast.FunctionDef):
        return {node.name}
    inner = list(ast.walk(node))
    names = {part.id for part in inner if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}
    return names | {part.name for part in inner if isinstance(part, ast.FunctionDef)}


def keeps_nothing(tree: ast.Module) -> bool:
    """Whether nothing at module level can change, so that calls cannot know of each other."""
    for node in tree.body:
        match node:
            case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant()) | ast.Pass():
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
