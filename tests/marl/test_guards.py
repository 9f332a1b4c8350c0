"""What differs from process to process cannot be read by candidate code, by whatever way it goes about it."""

from __future__ import annotations

import time
from typing import Any

import pytest
import torch
from states import random_play

from marlsmith.marl.signals.allowed import PATHS
from marlsmith.marl.signals.files import read_signal
from marlsmith.marl.signals.guards import DOORS
from marlsmith.marl.signals.program import MOST_LOAD_SECONDS, Program, _Module, build_program
from marlsmith.marl.tasks import make_task
from marlsmith.schemas import SignalError

TASK = make_task("mpe/simple_spread")
HEAD = "import numpy as np\nimport torch\nfrom functools import partial\n"
STATE = random_play(TASK, 8)


def program(body: str, fresh: bool = True) -> Program:
    source = f"{HEAD}def f(x):\n    return x\n\ndef agent_reward(state):\n    {body}\n    return state.reward\n"
    return build_program(read_signal("guards.py", source), TASK.card, fresh)


CHANGING = {
    "text of a function": 'y = f"{f}"',
    "text of a list of functions": 'y = f"{[f]!r}"',
    "str": "y = str(f)",
    "str as a key": "y = sorted([f, f], key=str)",
    "formatting by %": 't = "%s"\n    y = t % f',
    "a set of functions": "y = list({f, print})",
    "a set of texts": 'y = [w for w in {"a", "b"}]',
    "a set of tensors": "y = set(state.reward)",
    "a set comprehension of texts": "y = list({str(i) for i in range(3)})",
    "add": "y = set()\n    y.add(f)",
    "union": "y = set().union([f])",
    "a copy": 'y = set().copy()\n    y.update(["left", "right"])',
    "an intersection": 'y = {1}.intersection({1})\n    y.add("left")',
    "an exclusive or": "y = {1}\n    y ^= {2}\n    y.add(f)",
    "NaN": 'y = {float("nan"), 1.0}',
    "text of a factory": 'from collections import defaultdict\n    y = f"{defaultdict(f)}"',
    "a date by another name": 'join = np.concatenate\n    y = join((["now"],), dtype="M8[us]", casting="unsafe")',
    "a date by view": 'd = "M8[us]"\n    y = np.zeros(1).view(d)',
    "a date in a field": 'y = np.zeros(1).view([("t", "M8[us]")])',
    "a date in a field by a dict": 'y = np.zeros(1).view({"names": ["t"], "formats": ["M8[us]"]})',
    "a date in a tuple": 'y = np.zeros(1).view(("M8[us]", (1,)))',
    "a text in a field": 'y = np.zeros(25).view([("s", "U50")])["s"]',
    "a date by a signature": 'y = np.less(["now"], ["2100-01-01"], signature="MM->?", casting="unsafe")',
    "a date by a short signature": 'y = np.isfinite(["now"], sig="M->?", casting="unsafe")',
    "a date by a comparison's dtype": 'less = partial(np.less, ["now"], ["2100-01-01"])\n'
    '    y = [g(casting="unsafe", **{"dtype": "M8[us]"}) for g in [less]]',
    "a list as a dtype": 'join = np.concatenate\n    y = join(([1.0], [2.0]), dtype=[("t", "f8")][:])',
    "a date by a starred view": 'y = np.zeros(1).view(*["M8[us]"])',
    "unwritten memory by another name": "root = np.sqrt\n    y = root(np.ones(1), where=np.array([False]))",
    "unwritten memory out of a dict": 'y = {"root": np.sqrt}\n    def call(g, *a, **k):\n        return g(*a, **k)\n'
    '    y = call(y["root"], np.ones(1), where=np.zeros(1))',
    "an array of texts": 'y = np.array(["x" * 60])',
    "an array of objects": "y = np.array([f])",
    "texts chosen": 'y = np.where(np.ones(1) > 0, "a", "b")',
}


@pytest.mark.parametrize("case", CHANGING)
def test_what_changes_from_run_to_run_cannot_be_read(case: str) -> None:
    """Some are refused by their text already."""
    with pytest.raises((TypeError, SignalError)):
        program(CHANGING[case]).reward(STATE, 8, 3)


SAME = {
    "numbers": 'y = f"{1}{2.5:.2f}{True}{None}{(1, 2)}{state.reward.shape}{state.reward.dtype}"',
    "text of numbers": "y = str(3) + str([1, 2]) + str({'a': 1.0})",
    "sets of numbers": "y = {1, 2, 3} | {4}\n    y.add(5)\n    y = len(y & {1}) + len(y - {1} ^ {7}) + len({(1, 2)})",
    "isinstance": "assert isinstance('a', str) and isinstance({1}, set) and not isinstance(1, str)",
    "remainders": "y = 7 % 3 + state.reward % 2",
    "dicts": "d = {'a': 1}\n    y = [k for k in d.keys()] + [v for _, v in d.items()] + list(d.values())",
    "numpy": "y = np.linalg.norm(np.asarray([1.0, 2.0], dtype=np.float32)) + np.array([1]).astype(float).sum()",
    "views": "y = state.obs.view(8, -1).view(*state.obs.shape)",
    "numpy by name": "from numpy.linalg import norm\n    from numpy import array\n    y = norm(array([3.0, 4.0]))",
    "keys and items as sets": 'd, e = {"left": 1, "up": 2}, {"up": 2, "right": 3}\n'
    '    assert list(d.keys() | e.keys()) == ["left", "up", "right"] and list(d.items() & e.items()) == [("up", 2)]\n'
    '    assert d.keys() - e.keys() == {"left": 0}.keys() and list(d.keys() ^ e.keys()) == ["left", "right"]\n'
    '    assert d.keys().isdisjoint(["down"]) and not d.keys() <= e.keys() and len(d.items()) == 2\n'
    '    assert list({1} | d.keys()) == ["left", "up", 1] and {1} | {1: 0, 2: 0}.keys() == {1, 2}',
    "text of a defaultdict": 'from collections import defaultdict\n    y = f"{defaultdict(float)}"',
    "an array of a tensor": "y = state.reward.numpy()\n    y[:] = 7.0",
    "types that are asked for": "y: torch.Tensor | None = state.reward\n"
    "    assert isinstance(y, torch.Tensor | np.ndarray)\n"
    "    assert isinstance(y.long(), torch.LongTensor) and not isinstance(y, (np.ndarray, torch.BoolTensor))\n"
    "    assert y.type(torch.LongTensor).dtype == torch.int64 and y.type(torch.float64).dtype == torch.float64",
    "numpy types": "y = isinstance(np.ones(1), np.ndarray) and np.float32(1.0) + np.pi",
}


@pytest.mark.parametrize("case", SAME)
def test_plain_code_does_not_notice(case: str) -> None:
    reward, _ = program(SAME[case]).reward(STATE, 8, 3)
    assert torch.equal(reward, STATE.reward)


TYPES = ("torch.Tensor", "torch.FloatTensor", "torch.LongTensor", "torch.BoolTensor", "numpy.ndarray")


@pytest.mark.parametrize("path", TYPES)
def test_a_type_that_is_reached_all_the_same_cannot_be_called(path: str) -> None:
    """The static check refuses the ways to reach one that are known; this stands behind it."""
    module, _, name = path.rpartition(".")
    with pytest.raises(TypeError, match=f"{name} is no function here"):
        getattr(DOORS[module], name)(3)


@pytest.mark.parametrize("union", ["Union[Array, Array]", "Optional[Union[Array, Array]]"])
def test_a_union_of_one_type_cannot_be_called(union: str) -> None:
    source = "import numpy as np\nfrom typing import Optional, Union\nArray = np.ndarray\n"
    source += f"def agent_reward(state):\n    kind = {union}\n    x = kind((1,))\n    return state.reward\n"
    made = build_program(read_signal("u.py", source), TASK.card)
    with pytest.raises(TypeError):
        made.reward(STATE, 8, 3)


def test_the_doors_hold_what_is_allowed_and_no_more() -> None:
    for path, parent in PATHS.items():
        if parent in DOORS:
            assert hasattr(DOORS[parent], path.rpartition(".")[2]), path
    for module, name in (("torch", "os"), ("torch", "empty"), ("torch.nn", "Module"), ("numpy", "random")):
        assert not hasattr(DOORS[module], name)


MEMORIES = {
    "a default": "def count(seen=[]):\n    seen.append(1)\n    return len(seen)\n",
    "an iterator": "MARKS = iter(range(1, 9))\ndef count():\n    return next(MARKS)\n",
    "a closure": "def make():\n    seen = []\n    def inner():\n        seen.append(1)\n        return len(seen)\n"
    "    return inner\ncount = make()\n",
    "a tensor": "import torch\nN = torch.zeros(())\ndef count():\n    n = N\n    n += 1\n    return n\n",
}


@pytest.mark.parametrize("case", MEMORIES)
def test_no_call_knows_of_another(case: str) -> None:
    signal = read_signal("m.py", MEMORIES[case] + "def agent_reward(state):\n    return state.reward * 0 + count()\n")
    for fresh, expected in ((True, [1.0, 1.0, 1.0]), (False, [1.0, 2.0, 3.0])):
        made = build_program(signal, TASK.card, fresh)
        assert [float(made.reward(STATE, 8, 3)[0][0, 0]) for _ in range(3)] == expected


def test_alpha_is_out_of_the_modules_reach() -> None:
    source = "import torch\nALPHA = torch.tensor([0.5, 0.5, 0.5])\n"
    source += "def agent_reward(state):\n    a = ALPHA\n    a *= 0\n    return state.reward\n"
    made = build_program(read_signal("a.py", source), TASK.card, fresh=False)
    made.reward(STATE, 8, 3)
    assert made.alpha.tolist() == [0.5] * 3


def test_a_module_that_loads_slowly_is_refused() -> None:
    source = "import torch\nX = [torch.ones(300, 300) @ torch.ones(300, 300) for _ in range(100)]\n"
    source += "def agent_reward(state):\n    return state.reward\n"
    with pytest.raises(SignalError, match="at module level takes"):
        build_program(read_signal("slow.py", source), TASK.card)


@pytest.mark.parametrize("head", ["", "X = [1.0]\n"], ids=["loaded once", "loaded for each call"])
def test_a_busy_machine_speaks_against_no_module(head: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = _Module._loaded

    def slowly(module: _Module) -> dict[str, Any]:
        time.sleep(2 * MOST_LOAD_SECONDS)
        return loaded(module)

    monkeypatch.setattr(_Module, "_loaded", slowly)
    source = head + "def agent_reward(state):\n    return state.reward\n"
    assert build_program(read_signal("calm.py", source), TASK.card).shapes_reward
