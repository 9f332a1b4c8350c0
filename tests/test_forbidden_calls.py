"""What the package never does: unpickle, evaluate text, start a shell. By its syntax trees, and by its database."""

from __future__ import annotations

import ast
import pickle
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ormsgpack
import pytest

from marlsmith.graph import run as runs

ROOT = Path(__file__).parent.parent
ROOMS = ("agents", "commands", "graph", "marl", "prompts", "schemas")
FILES = [*ROOT.glob("*.py"), *(path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py")))]

UNPICKLERS = {
    "pickle", "_pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib", "pickletools", "copyreg",
    "jsonpickle", "yaml", "code", "codeop", "pty",
}  # fmt: skip
CALLS = {
    "torch.load", "torch.save", "torch.jit.load", "torch.hub.load", "torch.package.PackageImporter", "numpy.save",
    "joblib.load", "os.system", "os.popen", "yaml.load", "runpy.run_path", "runpy.run_module", "builtins.eval",
    "builtins.exec", "builtins.compile", "pandas.read_pickle", "numpy.fromfile", "subprocess.getoutput",
    "subprocess.getstatusoutput", "torch.multiprocessing.spawn",
}  # fmt: skip
# What executes or compiles text, and the one place where that is the purpose.
PLACES = {
    "eval": set[str](),
    "exec": {"marl/signals/program.py"},
    "compile": {"marl/signals/static.py", "marl/signals/program.py"},
    "__import__": {"marl/signals/program.py"},
}


def name_of(node: ast.expr, aliases: dict[str, str]) -> str:
    """The dotted path of what is called, with imported names replaced by where they come from."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([aliases.get(node.id, node.id), *reversed(parts)])


def aliases_in(tree: ast.Module) -> dict[str, str]:
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return found


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def faults(source: str, place: str) -> list[str]:
    """What a file has that it must not have, one sentence each."""
    tree = ast.parse(source)
    aliases = aliases_in(tree)
    found = [f"imports {name}" for name in imported(tree) if name.partition(".")[0] in UNPICKLERS]
    if place.startswith("marl/"):  # it pickles what it sends
        found += [f"imports {name}" for name in imported(tree) if "multiprocessing" in name.split(".")]
    for node in ast.walk(tree):
        # A reference is as bad as a call: `run = eval` is one step from it.
        if isinstance(node, ast.Name) and node.id in PLACES and place not in PLACES[node.id]:
            found.append(f"line {node.lineno}: {node.id}")
        if isinstance(node, ast.Attribute | ast.Name) and name_of(node, aliases) in CALLS:
            found.append(f"line {node.lineno}: {name_of(node, aliases)}")
        if isinstance(node, ast.Call):
            found += [
                f"line {node.lineno}: {keyword.arg}="
                for keyword in node.keywords
                if keyword.arg in {"shell", "allow_pickle", "pickle_module", "weights_only", "pickle_fallback"}
                and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is False)
            ]
            if name_of(node.func, aliases).endswith("numpy.load") or name_of(node.func, aliases) == "np.load":
                closed = any(keyword.arg == "allow_pickle" for keyword in node.keywords)
                found += [] if closed else [f"line {node.lineno}: numpy.load without allow_pickle=False"]
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_forbidden(path: Path) -> None:
    assert faults(path.read_text(), str(path.relative_to(ROOT))) == []


def test_all_files_are_looked_at() -> None:
    looked_at = {str(path.relative_to(ROOT)) for path in FILES}
    assert len(looked_at) > 60
    assert looked_at >= {"cli.py", "schemas/base.py", "marl/workers/pool.py", "marl/checkpoint.py", "graph/run.py"}
    assert PLACES["exec"] <= looked_at


@pytest.mark.parametrize(
    "source",
    [
        "import pickle", "from pickle import loads", "import cloudpickle as cp", "import torch\ntorch.load('x')",
        "from torch import load", "import torch as t\nt.save(1, 'x')", "eval('1')", "run = exec", "f = compile",
        "import subprocess\nsubprocess.run('ls', shell=True)", "import yaml\nyaml.load('x')", "__import__('os')",
        "import numpy as np\nnp.load('x')", "import numpy as np\nnp.load('x', allow_pickle=True)",
        "from multiprocessing import Pipe", "import torch.multiprocessing", "import os\nos.system('ls')",
        "from subprocess import run\nflag = True\nrun('ls', shell=flag)", "import builtins\nbuiltins.eval('1')",
        "from concurrent.futures.process import multiprocessing",
    ],
)  # fmt: skip
def test_the_walk_sees(source: str) -> None:
    if source == "from torch import load":
        source += "\nload('x')"
    assert faults(source, "marl/some.py") != []


@pytest.mark.parametrize(
    "source",
    [
        "import json\njson.loads('1')",
        "import safetensors.torch\nsafetensors.torch.load(b'')",
        "import re\nre.compile('x')",
        "import numpy as np\nnp.load('x', allow_pickle=False)", "graph.compile(checkpointer=None)",
        "import subprocess\nsubprocess.run(['ls'])", "model.eval()",
    ],
)  # fmt: skip
def test_the_walk_lets_pass(source: str) -> None:
    assert faults(source, "marl/some.py") == []


# ---------------------------------------------------------------- the graph's database


class Odd:
    """Neither JSON nor msgpack has a form for it."""


def saved(name: str, *arguments: Any) -> tuple[str, bytes]:
    """A checkpoint that asks for a call of builtins.NAME, as LangGraph's own writes its classes."""
    asked = ormsgpack.packb(("builtins", name, *arguments))
    return "msgpack", ormsgpack.packb(ormsgpack.Ext(0, asked))


def test_the_saver_neither_pickles_nor_calls_what_a_file_names(tmp_path: Path) -> None:
    with runs._saver(SimpleNamespace(path=tmp_path)) as saver:  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            saver.serde.dumps_typed(Odd())
        with pytest.raises(NotImplementedError):
            saver.serde.loads_typed(("pickle", pickle.dumps([1])))
        assert saver.serde.loads_typed(saver.serde.dumps_typed({"a": [1, 2.5, None, "x"]})) == {
            "a": [1, 2.5, None, "x"]
        }
        assert saver.serde.loads_typed(saved("len", "abc")) == "abc"  # and not 3


def test_a_runs_database_holds_plain_values_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "graph"))
    from graph_fakes import Equipment, make_settings

    list(runs.start(make_settings(rounds=1), Equipment(), tmp_path / "run"))
    with sqlite3.connect(tmp_path / "run" / "graph.sqlite") as database:
        rows = database.execute("select type, checkpoint from checkpoints").fetchall()
        rows += database.execute("select type, value from writes").fetchall()
    foreign: list[Any] = []

    def extension(number: int, data: bytes) -> Any:
        foreign.append(ormsgpack.unpackb(data, ext_hook=extension)[:2])
        return None

    for kind, data in rows:
        if kind == "msgpack":
            ormsgpack.unpackb(data, ext_hook=extension, option=ormsgpack.OPT_NON_STR_KEYS)
    assert len(rows) > 20
    assert {kind for kind, _ in rows} <= {"msgpack", "null"}
    assert [one for one in foreign if one != ["langgraph.types", "Send"]] == []
