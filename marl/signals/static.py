"""The first look at candidate code: only what is known to be pure, and useful, may stand in it.

An allowlist, because a denylist cannot work: more than a thousand modules can be reached from `torch`
without writing one underscore. It guards the results; the jail guards the host.
Each refusal names the line, the fault and the remedy, for a model repairs its code from that sentence.
"""

from __future__ import annotations

import ast
import builtins
import difflib
import io
import tokenize
from collections.abc import Callable, Iterable, Iterator, Mapping

from marlsmith.schemas import SignalError

SOURCE_LIMIT = 100_000
PROBLEM_LIMIT = 5

# ---------------------------------------------------------------- what is allowed


def _within(prefix: str, names: str) -> dict[str, str]:
    return {f"{prefix}.{name}": prefix for name in names.split()}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


MODULES = _words("torch torch.nn torch.nn.functional torch.linalg torch.special numpy numpy.linalg math typing")

# Nothing random, uninitialised, in place, or that touches files, devices, hooks or other code.
PATHS: dict[str, str] = {
    **_within(
        "torch",
        """
        Tensor FloatTensor LongTensor BoolTensor Size dtype device no_grad
        float32 float64 float16 bfloat16 float double half int8 int16 int32 int64 uint8 int long short bool
        pi e inf nan newaxis finfo iinfo
        tensor as_tensor zeros zeros_like ones ones_like full full_like arange linspace logspace eye
        scalar_tensor tril_indices triu_indices from_numpy
        abs absolute neg negative sign sgn signbit square sqrt rsqrt pow float_power exp exp2 expm1
        log log2 log10 log1p logaddexp logaddexp2 reciprocal ceil floor round trunc fix frac
        sin cos tan asin acos atan atan2 arcsin arccos arctan arctan2 sinh cosh tanh asinh acosh atanh
        deg2rad rad2deg hypot sigmoid softmax log_softmax relu erf erfc erfinv logit sinc heaviside copysign
        add sub subtract mul multiply div divide true_divide floor_divide remainder fmod
        addcmul addcdiv lerp rsub clamp clip clamp_min clamp_max nan_to_num threshold
        maximum minimum fmax fmin max min amax amin aminmax argmax argmin
        sum nansum mean nanmean median nanmedian mode std var std_mean var_mean prod logsumexp quantile
        nanquantile cumsum cumprod cummax cummin logcumsumexp diff norm dist count_nonzero all any
        trapezoid histc bincount bucketize searchsorted
        eq ne lt le gt ge less less_equal greater greater_equal equal not_equal isclose allclose
        isnan isinf isfinite isposinf isneginf isin logical_and logical_or logical_not logical_xor
        bitwise_and bitwise_or bitwise_not bitwise_xor bitwise_left_shift bitwise_right_shift
        is_tensor is_floating_point is_complex numel
        where masked_select masked_fill gather scatter scatter_add scatter_reduce index_select index_add
        index_fill index_copy take take_along_dim nonzero argwhere topk sort argsort msort kthvalue unique
        unique_consecutive
        cat concat concatenate stack hstack vstack dstack column_stack row_stack split chunk tensor_split
        hsplit vsplit unbind reshape flatten unflatten ravel squeeze unsqueeze transpose t permute swapaxes
        swapdims movedim moveaxis flip fliplr flipud roll rot90 tile repeat_interleave broadcast_to
        broadcast_tensors broadcast_shapes narrow select diagonal diag diag_embed tril triu block_diag
        atleast_1d atleast_2d atleast_3d clone detach meshgrid cartesian_prod combinations
        matmul mm bmm mv dot vdot inner outer ger einsum tensordot kron cross cdist pdist baddbmm addmm
        cosine_similarity pairwise_distance cov corrcoef det trace inverse
        """,
    ),
    **_within(
        "torch.linalg", "norm vector_norm matrix_norm cross vecdot det inv pinv solve multi_dot diagonal eigvalsh"
    ),
    **_within(
        "torch.nn.functional",
        """
        relu relu6 leaky_relu elu selu celu gelu silu mish softplus softsign softmin softmax log_softmax
        logsigmoid sigmoid tanh tanhshrink softshrink hardshrink hardtanh hardsigmoid hardswish threshold
        normalize one_hot pad cosine_similarity pairwise_distance pdist
        mse_loss l1_loss smooth_l1_loss huber_loss cross_entropy binary_cross_entropy kl_div
        layer_norm linear avg_pool1d max_pool1d interpolate unfold
        """,
    ),
    **_within("torch.special", "erf erfc expit logit entr expm1 log1p logsumexp softmax log_softmax xlogy sinc"),
    **_within(
        "numpy",
        """
        ndarray float32 float64 int32 int64 bool_ pi e inf nan newaxis array asarray zeros zeros_like ones
        ones_like full full_like arange linspace eye identity
        abs absolute sign square sqrt power exp expm1 log log2 log10 log1p ceil floor round trunc rint
        sin cos tan arcsin arccos arctan arctan2 sinh cosh tanh hypot deg2rad rad2deg degrees radians
        add subtract multiply divide true_divide floor_divide mod remainder negative reciprocal
        clip nan_to_num maximum minimum fmax fmin max min amax amin argmax argmin
        sum nansum mean nanmean median average std var prod cumsum cumprod diff ptp percentile quantile
        count_nonzero all any isnan isinf isfinite isclose allclose logical_and logical_or logical_not
        logical_xor equal not_equal less less_equal greater greater_equal heaviside interp
        where select take take_along_axis nonzero argwhere sort argsort unique searchsorted
        concatenate stack hstack vstack dstack column_stack split array_split reshape ravel squeeze
        expand_dims transpose swapaxes moveaxis flip roll tile repeat broadcast_to meshgrid
        atleast_1d atleast_2d diag tril triu triu_indices tril_indices
        matmul dot vdot inner outer einsum tensordot cross trace
        """,
    ),
    **_within("numpy.linalg", "norm det inv solve"),
    **_within(
        "math",
        """
        pi e tau inf nan sqrt exp expm1 log log2 log10 log1p pow sin cos tan asin acos atan atan2 sinh cosh
        tanh hypot dist degrees radians floor ceil trunc fabs fmod copysign isfinite isinf isnan isclose
        comb perm factorial gcd prod fsum
        """,
    ),
    **_within(
        "typing",
        """
        Any Callable Dict Final Iterable Iterator List Literal Mapping Optional Sequence Set Tuple Type
        Union cast
        """,
    ),
}

TYPES_ONLY = frozenset({"torch.Tensor", "torch.FloatTensor", "torch.LongTensor", "torch.BoolTensor", "numpy.ndarray"})

# Methods and properties of tensors and arrays that compute from their operands alone.
TENSOR_ATTRIBUTES = """
    T mT H shape dtype device ndim size dim numel nelement element_size itemsize eps tiny
    abs absolute neg negative sign sgn square sqrt rsqrt pow float_power exp exp2 expm1 log log2 log10 log1p
    logaddexp reciprocal ceil floor round trunc frac sin cos tan asin acos atan atan2 arctan2 sinh cosh tanh
    hypot sigmoid softmax log_softmax relu erf erfc logit sinc heaviside copysign deg2rad rad2deg
    add sub subtract mul multiply div divide true_divide floor_divide remainder fmod addcmul addcdiv lerp
    clamp clip clamp_min clamp_max nan_to_num maximum minimum fmax fmin max min amax amin aminmax argmax argmin
    sum nansum mean nanmean median nanmedian mode std var prod logsumexp quantile nanquantile cumsum cumprod
    cummax cummin logcumsumexp diff norm dist count_nonzero all any histc bincount
    eq ne lt le gt ge less less_equal greater greater_equal equal not_equal isclose allclose isnan isinf
    isfinite isposinf isneginf logical_and logical_or logical_not logical_xor bitwise_and bitwise_or
    bitwise_not bitwise_xor is_floating_point is_complex
    where masked_select masked_fill masked_scatter gather scatter scatter_add scatter_reduce index_select
    index_add index_fill index_copy take take_along_dim nonzero argwhere topk sort argsort msort kthvalue
    unique unique_consecutive values indices
    split chunk tensor_split unbind view view_as reshape reshape_as flatten unflatten ravel squeeze unsqueeze
    transpose t permute swapaxes swapdims movedim moveaxis flip fliplr flipud roll rot90 repeat
    repeat_interleave tile expand expand_as type broadcast_to narrow select diagonal diag diag_embed tril triu
    unfold contiguous clone detach cpu to type_as float double half bfloat16 int long short bool item tolist
    new_zeros new_ones new_full new_tensor is_contiguous
    matmul mm bmm mv dot vdot inner outer ger cross det trace inverse astype
    """
COLLECTION_ATTRIBUTES = """
    items keys values get append extend update copy index count join split strip startswith endswith lower
    upper replace union intersection difference issubset isdisjoint
    """
# LERO's published style reads PettingZoo's world objects: agent_reward(self, agent, world).
WORLD_ATTRIBUTES = """
    agents landmarks policy_agents world state p_pos p_vel c name size collide silent movable goal_a goal_b
    dim_p dim_c is_collision
    """
ATTRIBUTES = _words(f"{TENSOR_ATTRIBUTES} {COLLECTION_ATTRIBUTES} {WORLD_ATTRIBUTES} prev")

SAFE_BUILTINS = _words(
    """
    abs all any bool dict enumerate filter float getattr hasattr int isinstance len list map max min print
    range reversed round set slice sorted str sum tuple zip
    """
)
BUILTINS = frozenset(dir(builtins))
# These take the name of an attribute as text, so they are called, with a literal, and never passed around.
NAME_READERS = frozenset({"getattr", "hasattr"})
# Honest code calls its variables so; a worker has no builtins beyond the safe ones, so nothing is won by it.
REUSABLE = (SAFE_BUILTINS - NAME_READERS) | {"format", "hash", "help", "id", "input", "iter", "next", "object"}

NODES: tuple[type[ast.AST], ...] = (
    ast.Module, ast.FunctionDef, ast.arguments, ast.arg, ast.Return, ast.Assign, ast.AugAssign, ast.AnnAssign,
    ast.For, ast.If, ast.With, ast.withitem, ast.Expr, ast.Pass, ast.Break, ast.Continue, ast.Assert,
    ast.Import, ast.ImportFrom, ast.alias, ast.BoolOp, ast.NamedExpr, ast.BinOp, ast.UnaryOp, ast.Lambda,
    ast.IfExp, ast.Dict, ast.Set, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp,
    ast.comprehension, ast.Compare, ast.Call, ast.keyword, ast.FormattedValue, ast.JoinedStr, ast.Constant,
    ast.Attribute, ast.Subscript, ast.Starred, ast.Name, ast.List, ast.Tuple, ast.Slice,
    *ast.expr_context.__subclasses__(), *ast.boolop.__subclasses__(), *ast.operator.__subclasses__(),
    *ast.unaryop.__subclasses__(), *ast.cmpop.__subclasses__(),
)  # fmt: skip
ALLOWED_NODES = frozenset(NODES)

# Parts of statements that are refused as a whole.
COVERED_NODES = (ast.ExceptHandler, ast.match_case, ast.pattern)

# ---------------------------------------------------------------- what to write instead

Remedy = str | Callable[[], str]

NODE_REMEDIES: dict[type[ast.AST], tuple[str, str]] = {
    ast.While: ("a while loop", "use a for loop with a fixed range"),
    ast.ClassDef: ("a class", "write plain functions"),
    ast.Try: ("try", "avoid the fault instead, with torch.where, clamp or if"),
    ast.TryStar: ("try", "avoid the fault instead, with torch.where, clamp or if"),
    ast.Raise: ("raise", "return a tensor in every case"),
    ast.Global: ("global", "pass the value as an argument and return the new one"),
    ast.Nonlocal: ("nonlocal", "pass the value as an argument and return the new one"),
    ast.Delete: ("del", "leave it out; locals end with the function"),
    ast.Match: ("match", "use if and elif"),
    ast.Yield: ("yield", "return a list or a tensor"),
    ast.YieldFrom: ("yield", "return a list or a tensor"),
    ast.Await: ("await", "write plain functions"),
    ast.AsyncFunctionDef: ("async", "write plain functions"),
    ast.AsyncFor: ("async", "write plain functions"),
    ast.AsyncWith: ("async", "write plain functions"),
}
IMPORT_REMEDIES = {
    "itertools": "write the permutations out as a tensor",
    "scipy": "write the assignment out with torch, for instance over a tensor of all permutations",
    "random": "signals are deterministic functions of their arguments",
}
PATH_REMEDIES = {
    "torch.empty": "use torch.zeros",
    "torch.empty_like": "use torch.zeros_like",
    "torch.vmap": "write the operation over the batch dimension",
    **dict.fromkeys(("torch.rand", "torch.randn", "torch.rand_like", "torch.randn_like"), IMPORT_REMEDIES["random"]),
    **dict.fromkeys(("torch.manual_seed", "numpy.random"), IMPORT_REMEDIES["random"]),
    "torch.nn.functional.dropout": IMPORT_REMEDIES["random"],
}
ATTRIBUTE_REMEDIES = {
    "data": "use .detach()",
    "numpy": "stay with torch functions, or use .tolist()",
    "cuda": "leave it out; everything is on one device",
    "format": "use an f-string",
    "pop": "build a new list",
    "backward": "rewards need no gradient",
}
KEYWORD_REMEDIES = {"out": "assign the result to a name", "inplace": "leave it out and use the result"}


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
    try:
        tree = ast.parse(source, "<signal>")
        compile(tree, "<signal>", "exec", dont_inherit=True)  # a stray return or break shows only here
    except SyntaxError as error:
        raise SignalError(f"line {error.lineno or 1}: syntax error, {error.msg}: correct it") from None
    except (ValueError, MemoryError, RecursionError) as error:
        fault = "nests too deeply" if isinstance(error, MemoryError | RecursionError) else "holds broken characters"
        raise SignalError(f"line 1: the code {fault}: write it plainly") from None
    return tree


def check_source(source: str, state_fields: frozenset[str], task: str = "the task") -> ast.Module:
    """The tree of code in which everything is allowed. Raises SignalError with up to five problems.

    `state_fields` are what `state` has in the task that `task` names.
    """
    tree = parse(source)
    problems = _Check(tree, state_fields, task).problems
    if not source.isascii():
        problems.update(((line, name), "use ASCII letters outside text") for line, name in _foreign_names(source))
    if problems:
        shown = sorted(problems)[:PROBLEM_LIMIT]
        sentences = tuple(_sentence(line, what, problems[line, what]) for line, what in shown)
        raise SignalError("; ".join(sentences), problems=sentences)
    return tree


def _sentence(line: int, what: str, remedy: Remedy) -> str:
    return f"line {line}: {what} is not allowed: {remedy if isinstance(remedy, str) else remedy()}"


def _is_state(node: ast.expr) -> bool:
    """Whether this is `state` or `state.prev`, by name."""
    match node:
        case ast.Name(id="state") | ast.Attribute(value=ast.Name(id="state"), attr="prev"):
            return True
    return False


def defined_functions(tree: ast.Module) -> dict[str, int]:
    """Top-level functions and how many arguments each needs: parameters with a default do not count."""
    return {
        node.name: len(node.args.posonlyargs) + len(node.args.args) - len(node.args.defaults)
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
    }


Forms = Mapping[str, tuple[str, ...]]
REWARD_FORMS: dict[str, tuple[str, ...]] = {"agent_reward": ("state",), "global_reward": ("state",)}
OBSERVATION_FORMS: dict[str, tuple[str, ...]] = {
    "enhance_observation": ("obs", "obs, history"),
    "stateEnhance": ("obs", "obs, history"),
}


def require_functions(tree: ast.Module, forms: Forms = REWARD_FORMS | OBSERVATION_FORMS) -> None:
    """Raises SignalError where the module defines no entry point of these, or one with other parameters."""
    defined = {name: count for name, count in defined_functions(tree).items() if name in forms}
    if not defined:
        wanted = ", ".join(f"{name}({form[0]})" for name, form in forms.items() if name != "stateEnhance")
        raise SignalError(f"defines none of {wanted}: write at least one of them as a top-level function")
    for name, count in defined.items():
        if count not in {len(form.split(", ")) for form in forms[name]}:
            right = " or ".join(f"{name}({form})" for form in forms[name])
            raise SignalError(f"{name} needs {count} arguments: write it as {right}")


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
        self._nodes = list(ast.walk(tree))
        self._aliases: dict[str, str] = {}  # name -> dotted path
        self._bound: set[str] = set()
        self._settled: set[int] = set()  # ids of nodes that a node above them has judged
        visitors = {
            ast.Name: self._name,
            ast.Attribute: self._attribute,
            ast.Call: self._call,
            ast.Subscript: self._subscript,
            ast.FunctionDef: self._function,
            ast.With: self._with,
            ast.comprehension: self._comprehension,
        }
        self._imports()
        self._bindings()
        for node in self._nodes:
            kind = type(node)
            if kind in visitors:
                visitors[kind](node)  # type: ignore[operator]  # each takes the node type of its key
            elif kind not in ALLOWED_NODES and not isinstance(node, COVERED_NODES):
                self._refuse(node, *NODE_REMEDIES.get(kind, (kind.__name__, "write it in plain Python")))

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

    def _bindings(self) -> None:
        for node in self._nodes:
            match node:
                case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name) | ast.FunctionDef(name=name):
                    self._bind(node, name)
                    if name in self._aliases:
                        self._refuse(node, f"giving {name} a new meaning", f"{name} is imported, take another name")

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
        elif name in NAME_READERS:
            self._refuse(node, f"{name} without a call", f'write {name}(x, "field")')
        elif name not in self._bound and name not in SAFE_BUILTINS:
            if name in BUILTINS or name.startswith("__"):
                self._refuse(node, name, "use torch, and plain builtins such as len, range and sum")
            else:
                known = frozenset(self._bound | SAFE_BUILTINS)
                self._refuse(node, f"{name}, which is defined nowhere,", _closest(name, known, "define or import it"))

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
        if name in self._attributes:
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
                guesses = self._attributes - (_words(WORLD_ATTRIBUTES) - self._fields)
                remedy = _closest(name, guesses, f"use tensor methods, or state's fields: {fields}")
        self._refuse(node, f".{name}", remedy)

    # -- the other nodes with a condition

    def _call(self, node: ast.Call) -> None:
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
                self._refuse(node, f"a call of {self._path(function)}", "use torch.tensor or torch.zeros")
        for keyword in node.keywords:
            if keyword.arg in KEYWORD_REMEDIES:
                self._refuse(node, f"{keyword.arg}=", KEYWORD_REMEDIES[keyword.arg])

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
