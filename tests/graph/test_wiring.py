"""The machine itself: its routers are total, its state is plain, its drawing is the design's."""

from __future__ import annotations

import ast
import itertools
import json
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from graph_fakes import Equipment, FakeExecutor, make_settings
from langgraph.types import Send

from marlsmith.graph import routes
from marlsmith.graph.context import Context
from marlsmith.graph.run_directory import RunDirectory
from marlsmith.graph.state import State, initial_state
from marlsmith.graph.wiring import build, fingerprint, mermaid

GRAPH = Path(__file__).parents[2] / "graph"
NODES = {"start_stage", "diagnose", "propose", "check", "branch", "judge", "approve", "promote", "advance", "finish"}


def runtime(tmp_path: Path, **overrides: object) -> SimpleNamespace:
    settings = make_settings(**overrides)
    directory = RunDirectory(tmp_path, settings)
    parts = Equipment().equip(directory, FakeExecutor())
    return SimpleNamespace(
        context=Context(settings, directory, parts, journal=None, slots=threading.Semaphore())  # type: ignore[arg-type]
    )


def goes_to(found: object) -> set[str]:
    sends = found if isinstance(found, list) else [found]
    assert sends
    return {item.node if isinstance(item, Send) else item for item in sends}


def states() -> list[State]:
    decisions = ["race", "refine", "confirm", "accept", "keep", "nonsense"]
    verdicts = [None, *({"decision": d, "candidate": c} for d in decisions for c in (None, "s1r1c1"))]
    keys = ("stage", "phase", "verdict", "rejected", "accepted", "approved", "evaluated", "racing", "promotion")
    promotion = {"candidate": "s1r1c1", "stage": 1, "gain": 0.5}
    choices = (
        [1, 2], ["search", "confirm", "plain"], verdicts, [{}, {"s1r1c1": ["bad"]}], [[], ["s1r1c1"]],
        [None, True, False],
        [{}, {"control-s1": None, "s1r1c1": None}], [[], ["s1r1c1"]], [None, promotion],
    )  # fmt: skip
    return [State(**{**initial_state(), **dict(zip(keys, c, strict=True))}) for c in itertools.product(*choices)]


@pytest.mark.parametrize("adapts", [False, True])
@pytest.mark.parametrize(("approve", "stages", "gate"), [(False, 1, True), (True, 2, True), (False, 2, False)])
def test_routers_are_total(tmp_path, adapts, approve, stages, gate):
    edges = {(edge.source, edge.target) for edge in build().get_graph().edges}
    around = runtime(tmp_path, approve=approve, stages=stages, gate=gate, adapts=adapts)
    for state in states():
        for source, found in (
            ("check", routes.after_check(state, around)),
            ("judge", routes.after_judge(state, around)),
            ("approve", routes.after_approve(state, around)),
            ("promote", routes.after_promotion(state, around)),
            ("advance", routes.after_advance(state, around)),
        ):
            assert {(source, target) for target in goes_to(found)} <= edges


def test_the_drawing_shows_the_design():
    drawn = mermaid()
    assert all(node in drawn for node in NODES)
    assert set(build().get_graph().nodes) == {"__start__", "__end__", *NODES}


def test_the_factory_for_langgraph_takes_no_arguments_and_brings_no_saver():
    named = json.loads((GRAPH.parent / "langgraph.json").read_text())["graphs"]["marlsmith"]
    assert named == "./graph/wiring.py:build"
    assert build().checkpointer is None


def test_the_fingerprint_is_stable_and_sees_a_change(monkeypatch):
    before = fingerprint()
    assert before == fingerprint()
    monkeypatch.setitem(State.__annotations__, "novelty", "float")
    assert fingerprint() != before


def test_the_first_state_is_plain_and_complete():
    assert json.loads(json.dumps(initial_state())) == initial_state()
    assert set(initial_state()) == set(State.__annotations__)


@pytest.mark.parametrize("file", sorted(GRAPH.rglob("*.py")), ids=lambda file: str(file.relative_to(GRAPH)))
def test_the_room_imports_neither_torch_nor_the_command_line(file):
    for node in ast.walk(ast.parse(file.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not any(name.split(".")[0] == "torch" or name == "marlsmith.cli" for name in names)


def test_the_driver_loads_without_torch():
    code = "import sys, marlsmith.graph.run; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
