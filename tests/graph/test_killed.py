"""kill -9 at every kind of place: the run ends as if nothing had happened, and nothing is trained twice."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from marlsmith.graph.run_directory import RunDirectory

SCRIPT = Path(__file__).parent / "killed_run.py"
PLACES = [
    "propose:1",
    "train:s1r1c2",
    "after:diagnosis",
    "train:control-s1-confirm",
    "promote",
    "promoted",
    "finish",
]


def process(directory: Path) -> int:
    paths = [directory / name for name in ("run", "marker", "log")]
    return subprocess.run([sys.executable, SCRIPT, *paths], timeout=60, check=False).returncode


def outcome(directory: Path) -> dict:
    run = RunDirectory.open(directory / "run")
    last = list(run.events())[-1]
    assert last["event"] == "finished"
    main = {file.name: file.read_text() for file in (run.path / "main").iterdir()}
    return {**{k: v for k, v in last.items() if k not in ("seconds", "run", "tokens")}, "main": main}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict:
    directory = tmp_path_factory.mktemp("undisturbed")
    assert process(directory) == 0
    return outcome(directory)


def test_a_run_killed_again_and_again_ends_like_an_undisturbed_one(tmp_path, undisturbed):
    for place in PLACES:
        (tmp_path / "marker").write_text(place)
        assert process(tmp_path) == -signal.SIGKILL, place
        assert not (tmp_path / "marker").exists()
    assert process(tmp_path) == 0
    assert outcome(tmp_path) == undisturbed
    trained = (tmp_path / "log").read_text().split()
    assert len(trained) == len(set(trained)) == 9
    events = list(RunDirectory.open(tmp_path / "run").events())
    told = [e["branch"] for e in events if e["event"] == "tool_result"]
    assert sorted(told) == sorted(trained)
    assert [e["event"] for e in events].count("run_started") == len(PLACES) + 1
    assert [e["seconds"] for e in events] == sorted(e["seconds"] for e in events)
