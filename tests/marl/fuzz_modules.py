"""Strategies for what a stranger may send: signal modules, configs, reply streams and environment messages."""

from __future__ import annotations

import io
import json
import math
import re
import struct
import tokenize
import zlib
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

ROOT = Path(__file__).parents[2]
README = re.findall(r"```python\n(# signal\.py.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
REAL = [path.read_text() for path in sorted((ROOT / "benchmarks" / "signals").glob("*.py"))] + README
"""Signals that people wrote: what is mutated."""


def _words(text: str) -> SearchStrategy[str]:
    return st.sampled_from(text.split())


# ---------------------------------------------------------------- modules

SMALL = st.integers(-3, 12).map(str)
NUMBERS = st.one_of(
    SMALL,
    st.floats(-10, 10).map(repr),
    st.sampled_from(["1e38", "1e999", "10**6", "2**70", "-0.0", "1_0", "0x1F", "1j", "True", "None", "..."]),
)
TEXTS = st.sampled_from(["'x'", '"obs"', "'__class__'", "f'{state}'", "b'x'", "'\\ud800'", "'é'", "'a' 'b'"])
FIELDS = _words(
    "obs prev prev_obs action reward time agent_pos agent_vel landmark_pos training_progress gamma goal shape"
)
METHODS = _words("""
    sum mean norm abs T shape unsqueeze squeeze float bool long amin argmin max sort topk view reshape expand
    gather clone detach item tolist unbind softmax cumsum roll flip prod dim size add_ zero_ data numpy grad_fn
    apply_ backward is_cuda __class__ __globals__ _version device dtype new_zeros storage register_hook values
    """)
PATHS = _words("""
    torch.cdist torch.where torch.stack torch.cat torch.zeros torch.ones_like torch.arange torch.exp torch.sum
    torch.linalg.norm torch.nn.functional.relu np.sqrt np.array np.linalg.norm math.sqrt math.inf torch.os.system
    torch.load torch.rand torch.ops np.load np.random.rand torch.nn torch.tensor len range sum max min abs zip
    enumerate sorted getattr hasattr eval open type print isinstance list dict str map agent_reward helper
    """)
NAMES = _words("state obs history x y z i rows helper torch np math ALPHA SCOPE self world agent __name__")
OPERATORS = _words("+ - * / // % ** @ & | ^ << >> < <= == != > in is and or")
ODD_LETTERS = st.sampled_from("\u00a0\u200b\u202e\ufeff\uff45\u0131\u03b1\x00\x0c\r\t\\\ud800\U0001f600\u00e9")


def _expressions() -> SearchStrategy[str]:
    leaves = st.one_of(NAMES, NUMBERS, TEXTS, FIELDS.map("state.{}".format), FIELDS.map("state.prev.{}".format))

    def larger(inner: SearchStrategy[str]) -> SearchStrategy[str]:
        two = st.tuples(inner, inner)
        return st.one_of(
            st.tuples(inner, OPERATORS, inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
            st.tuples(PATHS, st.lists(inner, max_size=3)).map(lambda t: f"{t[0]}({', '.join(t[1])})"),
            st.tuples(inner, METHODS).map(lambda t: f"{t[0]}.{t[1]}"),
            st.tuples(inner, METHODS, st.lists(inner, max_size=2)).map(lambda t: f"{t[0]}.{t[1]}({', '.join(t[2])})"),
            two.map(lambda t: f"{t[0]}[{t[1]}]"),
            st.tuples(inner, SMALL, SMALL).map(lambda t: f"{t[0]}[..., {t[1]}:{t[2]}]"),
            two.map(lambda t: f"[{t[0]} for i in range(3) if {t[1]}]"),
            two.map(lambda t: f"({t[0]} if {t[1]} else x)"),
            two.map(lambda t: f"(lambda x, *y, z={t[0]}: {t[1]})"),
            two.map(lambda t: f"{{{t[0]}: {t[1]}}}"),
            st.lists(inner, max_size=3).map(lambda parts: f"[{', '.join(parts)}]"),
            inner.map(lambda e: f"(-{e})"),
            inner.map(lambda e: f"(x := {e})"),
            inner.map(lambda e: f"f'{{{e}!r:>{{3}}}}'"),
        )

    return st.recursive(leaves, larger, max_leaves=8)


EXPRESSIONS = _expressions()


@st.composite
def statements(draw: DrawFn, depth: int = 0) -> list[str]:
    """One statement, as lines without indentation of its own."""
    value = draw(EXPRESSIONS)
    kinds = ["assign", "index", "augment", "bare", "odd"] + (["for", "if", "def", "with"] if depth < 2 else [])
    match draw(st.sampled_from(kinds)):
        case "assign":
            return [f"{draw(NAMES)} = {value}"]
        case "index":
            return [f"x[{draw(EXPRESSIONS)}] = {value}"]
        case "augment":
            return [f"{draw(st.sampled_from(['x', 'y', 'state.obs', 'x[0]', 'obs']))} += {value}"]
        case "bare":
            return [value]
        case "for":
            head = f"for {draw(st.sampled_from(['i', 'i, x', 'state.obs', 'x[0]']))} in {value}:"
        case "if":
            head = f"if {value}:"
        case "def":
            head = f"def helper(x, y={value}, *rest, z=1, **more) -> {draw(NAMES)}:"
        case "with":
            head = f"with {draw(st.sampled_from(['torch.no_grad()', value]))}:"
        case _:
            odd = [
                "import os", "from torch import *", "from . import x", "global x", "nonlocal x", "del x", "raise x",
                "while True: pass", "class A: pass", "try: pass\nfinally: x", "yield x", "await x", "pass", "break",
                "return x", "assert x, y", "match x:\n    case torch.Tensor(data=y): pass", "async def f(): pass",
                "type X = int", "x: int = 3", "@helper\ndef helper(x): return x", "print(x)",
            ]  # fmt: skip
            return draw(st.sampled_from(odd)).split("\n")
    inner = draw(st.lists(statements(depth + 1), min_size=1, max_size=2))
    return [head, *(f"    {line}" for lines in inner for line in lines)]


@st.composite
def modules(draw: DrawFn) -> str:
    """Looks like a signal: imports, perhaps constants, entry functions with random bodies."""
    heads = [
        "import torch",
        "import numpy as np",
        "import math",
        "import torch.nn.functional as F",
        "from torch import Tensor",
        "import os",
        "from __future__ import annotations",
        "import torch as np",
        "# -*- coding: utf-7 -*-",
    ]
    lines = draw(st.lists(st.sampled_from(heads), max_size=4))
    if draw(st.booleans()):
        lines.append(f"ALPHA = {draw(EXPRESSIONS)}")
    if draw(st.booleans()):
        lines.append(f"SCOPE = {draw(st.sampled_from(['own', 'team', 'world', '']))!r}")
    forms = [
        "agent_reward(state)",
        "global_reward(state)",
        "enhance_observation(obs)",
        "enhance_observation(obs, history)",
        "stateEnhance(obs)",
        "agent_reward(self, agent, world)",
        "helper(x)",
        "agent_reward()",
    ]
    for form in draw(st.lists(st.sampled_from(forms), min_size=1, max_size=3)):
        body = [line for lines_ in draw(st.lists(statements(), max_size=3)) for line in lines_]
        lines += [f"def {form}:", *(f"    {line}" for line in body), f"    return {draw(EXPRESSIONS)}"]
    return "\n".join(lines) + "\n"


# What is put in a sound frame is often accepted: these reach the workers.
SHAPED = st.recursive(
    st.sampled_from(
        [
            "state.reward", "state.obs.sum(-1)", "state.time[:, None] * state.reward", "state.agent_pos.norm(dim=-1)",
            "torch.cdist(state.agent_pos, state.landmark_pos).amin(-1)", "state.obs[..., 0] / state.obs[..., 1]",
            "torch.zeros_like(state.reward)", "state.obs[:, :, 50]", "torch.full_like(state.reward, 1e39)",
            "state.obs.roll(1, 0).sum(-1)", "state.prev.reward", "state.obs[:1].sum(-1)", "3", "None", "[1.0]",
            "state.reward.long()", "{'a': state.reward, '\\x1b[31m': state.reward}", "state", "state.reward.view(-1)",
        ]
    ),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(list("+-*/")), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        inner.map(lambda e: f"torch.exp({e})"),
        inner.map(lambda e: f"torch.log({e})"),
        inner.map(lambda e: f"sum([{e} for i in range(3)])"),
        inner.map(lambda e: f"torch.stack([{e}, {e}]).mean(0)"),
        inner.map(lambda e: f"({e}).sort(-1).values"),
        inner.map(lambda e: f"getattr({e}, 'real', 1)"),
    ),
    max_leaves=4,
)  # fmt: skip


@st.composite
def likely(draw: DrawFn) -> str:
    """Mostly gets past the static check."""
    lines = [
        "import torch",
        "import numpy as np",
        "import math",
        f"ALPHA = {draw(st.sampled_from(['0.5', '2', '[1]']))}",
    ]
    lines += [
        "def agent_reward(state):",
        f"    x = {draw(SHAPED)}",
        f"    return {draw(st.one_of(SHAPED, st.just('x')))}",
    ]
    if draw(st.booleans()):
        feature = draw(
            st.sampled_from(["obs", "obs[..., :2] * 2", "obs.roll(1, 1)", "obs.mean(0)", "obs[..., :0]", "7"])
        )
        lines += ["def enhance_observation(obs):", f"    return {feature}"]
    return "\n".join(lines) + "\n"


def _tokens(source: str) -> list[str]:
    """The source in pieces that join to it again."""
    try:
        found = [token.string for token in tokenize.generate_tokens(io.StringIO(source).readline)]
    except (tokenize.TokenError, SyntaxError):
        found = []
    pieces, place = [], 0
    for text in filter(None, found):
        begin = source.find(text, place)
        pieces += [source[place:begin], text]
        place = begin + len(text)
    return [*pieces, source[place:]]


@st.composite
def mutated(draw: DrawFn) -> str:
    """A real signal with tokens deleted, doubled, swapped, replaced, or with odd letters in it."""
    pieces = _tokens(draw(st.sampled_from(REAL)))
    for _ in range(draw(st.integers(1, 4))):
        here, there = (draw(st.integers(0, len(pieces) - 1)) for _ in range(2))
        match draw(st.sampled_from(["delete", "double", "swap", "copy", "letter", "expression"])):
            case "delete":
                pieces[here] = ""
            case "double":
                pieces[here] *= 2
            case "swap":
                pieces[here], pieces[there] = pieces[there], pieces[here]
            case "copy":
                pieces[here] = pieces[there]
            case "letter":
                pieces[here] += draw(ODD_LETTERS)
            case "expression":
                pieces[here] = draw(EXPRESSIONS)
    return "".join(pieces)


@st.composite
def towers(draw: DrawFn) -> str:
    """Deep, wide or long: what parsers and walks break on."""
    size = draw(st.sampled_from([30, 90, 150, 400, 1000, 5000, 20000]))
    value = draw(st.sampled_from(["(" * size + "1" + ")" * size, "-" * size + "1", "[" * size, "1" + " + 1" * size,
                                  "x" + ".T" * size, "x" + "[0]" * size, "x" + "(1)" * size, "not " * size + "x",
                                  "lambda: " * size + "1", "1 if 1 else " * size + "1", "'a' " * size, "9" * size,
                                  "{1:" * size + "1" + "}" * size, "f'{" * size, "2" + "**9" * size]))  # fmt: skip
    blocks = "".join("    " * (depth + 1) + "if x:\n" for depth in range(min(size, 120)))
    tail = draw(st.sampled_from(["", blocks + "    " * 130 + "pass\n", "    x = 1\n" * (size // 4)]))
    return f"def agent_reward(state):\n    x = state.reward\n{tail}    return {value}\n"


SOURCES = st.one_of(modules(), mutated(), likely(), towers(), st.text(max_size=60), st.binary(max_size=60).map(
    lambda data: data.decode("latin-1")))  # fmt: skip

# ---------------------------------------------------------------- JSON

ODD_NUMBERS = st.sampled_from([1 << 62, 1 << 64, 10**400, -1, 0, 1e308, 1e-320, float("nan"), float("inf")])
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), ODD_NUMBERS, st.text(max_size=8))
PLAIN = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=8,
)

WORDS = _words("""
    approach progress reach unique_coverage team_distance collision native target_offset speed target_claims nearest
    optimal own team together teammate_observations linear exponential agent config code
    """)
KEYS = _words("""
    alpha terms scope features kind weight credit potential fade start end assignment form scale threshold signal
    reward observation source id distance radius
    """)
VALUES = st.one_of(SCALARS, WORDS, st.floats(0, 1))
ENTRIES = st.dictionaries(KEYS, st.one_of(VALUES, st.dictionaries(KEYS, VALUES, max_size=3)), max_size=5).map(
    lambda entry: {"kind": "approach", **entry}
)
CONFIGS = st.one_of(
    PLAIN,
    st.fixed_dictionaries({}, optional={
        "alpha": VALUES, "terms": st.lists(st.one_of(ENTRIES, PLAIN), max_size=3),
        "scope": VALUES, "features": st.lists(st.one_of(ENTRIES, PLAIN), max_size=3),
        "reward": st.one_of(ENTRIES, PLAIN), "signal": st.dictionaries(KEYS, st.one_of(ENTRIES, PLAIN), max_size=3),
    }),
)  # fmt: skip
CONFIG_TEXTS = st.one_of(
    CONFIGS.map(json.dumps),
    st.tuples(CONFIGS.map(json.dumps), st.integers(0, 200)).map(lambda t: t[0][: t[1]]),
    st.sampled_from(["[" * 2000, '{"terms":' * 2000, "9" * 5000, '{"terms": [], "terms": 3}', "\ufeff{}", "{}\x00"]),
    st.text(max_size=40),
)

# ---------------------------------------------------------------- a worker's stream

KINDS = st.one_of(st.sampled_from(range(1, 8)), st.integers(0, 255))
TENSOR_ENTRIES = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "F64", "BOOL", "I64", "F4", 7, None]),
        "shape": st.lists(st.sampled_from([0, 1, 2, 3, -1, 2.0, "2", True, 1 << 40, 1 << 62]), max_size=4),
        "data_offsets": st.lists(st.sampled_from([0, 4, 8, 12, 16, -4, 1 << 50, 1.0, False]), min_size=1, max_size=3),
    }
)


METADATA = st.dictionaries(
    st.sampled_from(["marlsmith", "format"]),
    st.one_of(st.sampled_from(["{}", "[" * 2000, "9" * 5000, "NaN", "", '{"a":' * 1000]), PLAIN),
    max_size=2,
)
NAMED = st.dictionaries(st.one_of(st.text(max_size=5), st.just("w")), st.one_of(TENSOR_ENTRIES, PLAIN), max_size=3)
ITEM = {"F32": 4, "F64": 8, "BOOL": 1, "I64": 8, "U16": 2, "BF16": 2}


@st.composite
def consistent(draw: DrawFn) -> tuple[dict[str, Any], int]:
    """Entries that agree with themselves, end to end, and where they end."""
    header: dict[str, Any] = {}
    end = 0
    for name in draw(st.lists(st.text(max_size=4), max_size=3, unique=True)):
        kind = draw(st.sampled_from(sorted(ITEM)))
        shape = draw(st.lists(st.sampled_from([0, 1, 2, 1 << 40, 1 << 62]), max_size=4))
        size = math.prod(shape) * ITEM[kind]
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [end, end + size]}
        end += size
    return header, end


@st.composite
def safetensors(draw: DrawFn) -> bytes:
    loose = st.tuples(st.one_of(NAMED, PLAIN), st.integers(0, 20))
    header, size = draw(st.one_of(consistent(), consistent(), loose))
    if isinstance(header, dict) and draw(st.booleans()):
        header["__metadata__"] = draw(st.one_of(METADATA, METADATA, PLAIN))
    text = json.dumps(header).encode()
    length = len(text) if draw(st.integers(0, 5)) else draw(st.integers(0, 2**64 - 1))
    body = min(size, 1000) if draw(st.integers(0, 5)) else 3
    return struct.pack("<Q", length) + text + bytes(body)


def tensors(header: dict[str, Any], body: int = 0) -> bytes:
    """Safetensors with this header and so many zeros."""
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(body)


ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
ZEROS_AS_W = f"{zlib.crc32(bytes(8), zlib.crc32(b'w')):08x}"
SAID = json.dumps({"about": {}, "sum": ZEROS_AS_W})
GOOD_TENSORS = tensors({"w": ENTRY, "__metadata__": {"marlsmith": SAID}}, 8)
DEEP_METADATA = tensors({"__metadata__": {"marlsmith": "[" * 2000}})
ENDLESS_SHAPE = tensors({"w": {**ENTRY, "shape": [0, 1 << 62, 4], "data_offsets": [0, 0]}})

PAYLOADS = st.one_of(
    CONFIG_TEXTS.map(lambda text: text.encode("utf-8", "surrogatepass")),
    safetensors(),
    st.binary(max_size=30),
    st.just(GOOD_TENSORS),
    st.just(b"{}"),
    st.sampled_from(
        [b'{"x": NaN}', b'{"stage": "jail", "message": "\\u001b[2J"}', b'{"stage": "crash", "message": null}', b"[]"]
    ),
)


@st.composite
def frame(draw: DrawFn) -> bytes:
    payload = draw(PAYLOADS)
    length = draw(st.one_of(*[st.just(len(payload))] * 6, st.integers(0, 2**32 - 1)))
    return struct.pack("!BI", draw(KINDS), length) + payload


@st.composite
def streams(draw: DrawFn) -> bytes:
    """Frames, some of them broken, in any order, and perhaps cut off or garbled somewhere."""
    data = b"".join(draw(st.lists(frame(), max_size=5)))
    if draw(st.integers(0, 3)) == 0:
        data = data[: draw(st.integers(0, len(data)))]
    if data and draw(st.integers(0, 3)) == 0:
        place = draw(st.integers(0, len(data) - 1))
        data = data[:place] + draw(st.binary(min_size=1, max_size=3)) + data[place + 1 :]
    return data
