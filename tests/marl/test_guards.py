"""What differs from process to process cannot be read by candidate code, by whatever way it goes about it."""

from __future__ import annotations

import pytest
import torch

from marlsmith.marl.signals.files import read_signal
from marlsmith.marl.signals.program import Program, build_program
from marlsmith.marl.signals.samples import random_play
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
    "an exclusive or": 'y = {1}\n    y ^= {1: "a"}.keys()\n    y.add(f)',
    "NaN": 'y = {float("nan"), 1.0}',
    "keys as a set": 'y = {"left": 1}.keys() | {"up": 2}.keys()',
    "items as a set": 'y = {"left": 1}.items() - {}.items()',
    "a date by another name": 'join = np.concatenate\n    y = join((["now"],), dtype="M8[us]", casting="unsafe")',
    "a date by view": 'd = "M8[us]"\n    y = np.zeros(1).view(d)',
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
    made = program(CHANGING[case])
    with pytest.raises(TypeError):
        made.reward(STATE, 8, 3)


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
    "numpy types": "y = isinstance(np.ones(1), np.ndarray) and np.float32(1.0) + np.pi",
}


@pytest.mark.parametrize("case", SAME)
def test_plain_code_does_not_notice(case: str) -> None:
    reward, _ = program(SAME[case]).reward(STATE, 8, 3)
    assert torch.equal(reward, STATE.reward)


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
