"""The machine itself: its routers are total, its state is plain, its drawing is the design's."""

from __future__ import annotations

import ast
import itertools
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from graph_fakes import make_settings
from langgraph.types import Send

from marlsmith.graph import routes
from marlsmith.graph.state import State, initial_state
from marlsmith.graph.wiring import build, fingerprint, mermaid

GRAPH = Path(__file__).parents[2] / "graph"
NODES = {"start_stage", "diagnose", "propose", "check", "branch", "judge", "approve", "promote", "finish"}


def runtime(approve: bool, stages: int) -> SimpleNamespace:
    return SimpleNamespace(context=SimpleNamespace(settings=make_settings(approve=approve, stages=stages)))


def goes_to(found: object) -> set[str]:
    sends = found if isinstance(found, list) else [found]
    assert sends
    return {item.node if isinstance(item, Send) else item for item in sends}


def states() -> list[State]:
    decisions = ["refine", "confirm", "accept", "keep", "nonsense"]
    verdicts = [None, *({"decision": d, "candidate": c} for d in decisions for c in (None, "s1r1c1"))]
    keys = ("stage", "phase", "verdict", "rejected", "accepted", "approved", "evaluated")
    choices = (
        [1, 2], ["search", "confirm"], verdicts, [{}, {"s1r1c1": ["bad"]}], [[], ["s1r1c1"]], [None, True, False],
        [{}, {"control-s1": None, "s1r1c1": None}],
    )  # fmt: skip
    return [State(**{**initial_state(), **dict(zip(keys, c, strict=True))}) for c in itertools.product(*choices)]


def test_routers_are_total():
    edges = {(edge.source, edge.target) for edge in build().get_graph().edges}
    for state in states():
        for approve, stages in ((False, 1), (True, 2)):
            around = runtime(approve, stages)
            for source, found in (
                ("check", routes.after_check(state)),
                ("judge", routes.after_judge(state, around)),
                ("approve", routes.after_approve(state, around)),
                ("promote", routes.after_stage(state, around)),
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


@pytest.mark.parametrize("file", sorted(GRAPH.glob("*.py")), ids=lambda file: file.name)
def test_the_room_imports_neither_torch_nor_the_command_line(file):
    for node in ast.walk(ast.parse(file.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not any(name.split(".")[0] == "torch" or name == "marlsmith.cli" for name in names)


def test_the_driver_loads_without_torch():
    code = "import sys, marlsmith.graph.run; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
