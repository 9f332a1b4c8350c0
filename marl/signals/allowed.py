"""What may stand in candidate code, and what to write instead of the rest.

Everything here computes from its operands alone: nothing random, uninitialised, endless, or that touches files,
devices, hooks or other code.
"""

from __future__ import annotations

import ast
import builtins


def _within(prefix: str, names: str) -> dict[str, str]:
    return {f"{prefix}.{name}": prefix for name in names.split()}


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# ---------------------------------------------------------------- modules and what they hold

MODULES = words(
    """
    torch torch.nn torch.nn.functional torch.linalg torch.special numpy numpy.linalg math
    itertools functools collections collections.abc operator typing
    """
)
"""They can be imported; all of them are loaded before any candidate code is."""

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
        broadcast_tensors narrow select diagonal diag diag_embed tril triu block_diag
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
        append delete array_equal isin setdiff1d digitize bincount
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
        "itertools",
        """
        accumulate chain combinations combinations_with_replacement islice pairwise permutations product
        starmap zip_longest
        """,
    ),
    **_within("functools", "partial reduce"),
    **_within("collections", "Counter OrderedDict defaultdict"),
    **_within("collections.abc", "Callable Iterable Iterator Mapping Sequence"),
    **_within("operator", "add itemgetter mul or_ sub"),
    **_within(
        "typing",
        """
        Any Callable Dict Final Iterable Iterator List Literal Mapping NamedTuple Optional Protocol Sequence Set
        Tuple Type TypeAlias TypedDict TYPE_CHECKING Union cast
        """,
    ),
}

# To be named in annotations, isinstance and .type(): called, they give memory that was never written, or a class.
TYPES_ONLY = frozenset(
    {
        "torch.Tensor", "torch.FloatTensor", "torch.LongTensor", "torch.BoolTensor", "numpy.ndarray",
        "typing.NamedTuple", "typing.Protocol", "typing.TypedDict",
    }
)  # fmt: skip

# These read a dtype, and numpy's can be a text that means the clock: how many arguments may stand without a name.
DTYPE_READERS = {
    f"numpy.{name}": count
    for names, count in (
        ("array asarray zeros ones zeros_like ones_like identity", 1),
        ("full full_like sum nansum mean nanmean prod std var cumsum cumprod", 2),
        ("eye arange linspace", 3),
    )
    for name in names.split()
}
DTYPE_METHODS = frozenset({"astype", "view"})
CALLED_METHODS = DTYPE_METHODS | {"keys", "items", "numpy"}
"""Where these are called, a guard stands by."""
DTYPE_TEXTS = words("float float32 float64 double int int8 int16 int32 int64 uint8 bool i4 i8 f4 f8")
# The clause below holds for these too: they are called where they are named, and never passed around.
CALLED_ONLY = frozenset(DTYPE_READERS) | {"torch.no_grad"}

# Arguments that say how much memory or time a call takes; "all" of them, or the first only.
SIZED: dict[str, str] = {
    **dict.fromkeys(
        words(
            """
            range repeat tile expand broadcast_to repeat_interleave new_zeros new_ones torch.zeros torch.ones
            torch.arange torch.linspace torch.logspace torch.eye torch.tril_indices torch.triu_indices torch.tile
            torch.repeat_interleave torch.broadcast_to torch.bincount torch.histc bincount histc torch.combinations
            torch.nn.functional.one_hot torch.nn.functional.interpolate
            numpy.zeros numpy.ones numpy.arange numpy.linspace numpy.eye numpy.identity numpy.tile numpy.repeat
            numpy.bincount numpy.broadcast_to numpy.tril_indices numpy.triu_indices
            """
        ),
        "all",
    ),
    **dict.fromkeys(words("new_full torch.full numpy.full"), "first"),
}
MOST = 1_000_000
GROWING = words("math.factorial math.comb math.perm")
MOST_GROWING = 1_000

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
    matmul mm bmm mv dot vdot inner outer ger cross det trace inverse astype numpy
    """
COLLECTION_ATTRIBUTES = """
    items keys values get append extend insert pop remove discard setdefault clear update copy index count
    most_common from_iterable join split strip startswith endswith lower upper title replace union
    intersection difference issubset issuperset isdisjoint
    """
# LERO's published style reads PettingZoo's world objects: agent_reward(self, agent, world).
WORLD_ATTRIBUTES = """
    agents landmarks policy_agents world state p_pos p_vel c name size collide silent movable goal_a goal_b
    dim_p dim_c is_collision entities dt damping contact_force contact_margin
    """
# What changes a list or a dict.
MUTATORS = words("append extend insert pop remove discard setdefault clear update")
# In place, on what was made a moment before.
IN_PLACE = words("fill_diagonal_ scatter_ scatter_add_ masked_fill_ index_fill_ clamp_")
ATTRIBUTES = words(f"{TENSOR_ATTRIBUTES} {COLLECTION_ATTRIBUTES} {WORLD_ATTRIBUTES} prev")

SAFE_BUILTINS = words(
    """
    abs all any bool callable dict divmod enumerate filter float getattr hasattr int isinstance iter len list
    map max min next pow print range reversed round set slice sorted str sum tuple zip
    """
)
ERRORS = words(
    "ArithmeticError AssertionError IndexError KeyError NotImplementedError RuntimeError TypeError ValueError"
)
"""To be raised, and nothing else."""
BUILTINS = frozenset(dir(builtins))
# These take the name of an attribute as text, so they are called, with a literal, and never passed around.
NAME_READERS = frozenset({"getattr", "hasattr"})
# Honest code calls its variables so; a worker has no builtins beyond the safe ones, so nothing is won by it.
REUSABLE = (SAFE_BUILTINS - NAME_READERS) | words("format hash help id input object vars dir repr type ord chr")

NODES: tuple[type[ast.AST], ...] = (
    ast.Module, ast.FunctionDef, ast.arguments, ast.arg, ast.Return, ast.Assign, ast.AugAssign, ast.AnnAssign,
    ast.For, ast.If, ast.With, ast.Raise, ast.withitem, ast.Expr, ast.Pass, ast.Break, ast.Continue, ast.Assert,
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

NODE_REMEDIES: dict[type[ast.AST], tuple[str, str]] = {
    ast.While: ("a while loop", "use a for loop with a fixed range"),
    ast.ClassDef: ("a class", "write plain functions"),
    ast.Try: ("try", "avoid the fault instead, with torch.where, clamp or if"),
    ast.TryStar: ("try", "avoid the fault instead, with torch.where, clamp or if"),
    ast.Global: ("global", "pass the value as an argument and return the new one"),
    ast.Nonlocal: ("nonlocal", "pass the value as an argument and return the new one"),
    ast.Match: ("match", "use if and elif"),
    ast.Yield: ("yield", "return a list or a tensor"),
    ast.YieldFrom: ("yield", "return a list or a tensor"),
    ast.Await: ("await", "write plain functions"),
    ast.AsyncFunctionDef: ("async", "write plain functions"),
    ast.AsyncFor: ("async", "write plain functions"),
    ast.AsyncWith: ("async", "write plain functions"),
}
IMPORT_REMEDIES = {
    "copy": "use .clone(), or list(x) and dict(x)",
    "dataclasses": "use a dict, or plain constants",
    "enum": "use constants such as UP = 0",
    "scipy": "write the assignment out with torch, for instance over a tensor of all permutations",
    "random": "signals are deterministic functions of their arguments",
    "time": "signals are deterministic functions of their arguments; state.time is the share of the episode",
    "marlsmith": "state and obs are handed over, and nothing else is needed",
}
PATH_REMEDIES = {
    "torch.broadcast_shapes": "take the shape of a sum of the tensors",
    "torch.empty": "use torch.zeros",
    "torch.empty_like": "use torch.zeros_like",
    **dict.fromkeys(("functools.lru_cache", "functools.cache"), "leave it out, the function may compute it anew"),
    "functools.wraps": "leave it out, and call the function itself",
    "collections.namedtuple": "use a dict, or plain constants",
    "collections.deque": "use a list, or .cumsum and slices of a tensor",
    "torch.cuda": "use obs.device (or state.obs.device)",
    "torch.nn.BCELoss": "use torch.nn.functional.binary_cross_entropy",
    **dict.fromkeys(("itertools.count", "itertools.cycle", "itertools.repeat"), "it never ends, use range"),
    "torch.distributions": "write it with softmax and log, as in -(p * p.log()).sum(-1)",
    "torch.vmap": "write the operation over the batch dimension",
    **dict.fromkeys(("torch.rand", "torch.randn", "torch.rand_like", "torch.randn_like"), IMPORT_REMEDIES["random"]),
    **dict.fromkeys(("torch.manual_seed", "numpy.random"), IMPORT_REMEDIES["random"]),
    "torch.nn.functional.dropout": IMPORT_REMEDIES["random"],
    **dict.fromkeys(("typing.NamedTuple", "typing.Protocol", "typing.TypedDict"), "use a dict, or plain constants"),
}
ATTRIBUTE_REMEDIES = {
    "data": "use .detach()",
    "copy_": "assign instead, as in r[:, i] = x",
    "cuda": "leave it out; everything is on one device",
    "format": "use an f-string",
    "backward": "rewards need no gradient",
}
KEYWORD_REMEDIES = {
    "out": "assign the result to a name",
    "inplace": "leave it out and use the result",
    "requires_grad": "rewards need no gradient",
    **dict.fromkeys(("names", "pin_memory", "layout", "generator"), "leave it out"),
}
