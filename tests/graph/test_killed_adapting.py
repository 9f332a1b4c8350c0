"""kill -9 wherever an adapted main run works, judges, moves on or goes back: it ends as an undisturbed one does."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from marlsmith.graph.run_directory import RunDirectory

SCRIPT = Path(__file__).parent / "killed_run.py"
PLACES = [
    "train:main-s0-h2",
    "before write_lap:main-s0",
    "after write_lap:main-s0",
    "propose:s1r1",
    "train:control-s1-h2",
    "train:s1r1c1-h1",
    "after:judged",
    "train:s1r1c2-h2",
    "before write_evaluation:s1r1c1",
    "after write_evaluation:s1r1c2",
    "train:control-s1r1-confirm-h2",
    "train:s1r1c1-confirm-h1",
    "after write_evaluation:s1r1c1-confirm",
    "after:promoted",
    "after keep_checkpoint:s1r1c1-h1",
    "play:main-s1-h2",
    "before write_lap:main-s1",
    "after write_lap:main-s1",
    "promote",
    "promoted",
    "before prune:",
    "after prune:",
    "after:advanced",
    "before write_lap:main-s2",
    "after write_lap:main-s2",
    "train:s3r1c1-h1",
    "after keep_checkpoint:s3r1c1-h2",
    "train:plain-h2",
    "play:final-h2",
    "finish",
]
"""In the order in which the run comes there."""
SOME = ["after:promoted", "before write_lap:main-s2"]


def process(directory: Path) -> int:
    paths = [directory / name for name in ("run", "marker", "log")]
    return subprocess.run([sys.executable, SCRIPT, *paths, "main-run"], timeout=120, check=False).returncode


def outcome(directory: Path) -> dict[str, Any]:
    run = RunDirectory.open(directory / "run")
    last = list(run.events())[-1]
    assert last["event"] == "finished"
    files = {
        file.relative_to(run.path): file.read_text() for file in run.path.glob("*/*") if file.parent.name == "main"
    }
    evaluations = {file.parent.name: file.read_text() for file in run.path.glob("branches/*/evaluation.json")}
    checkpoints = sorted(file.parent.name for file in run.path.glob("branches/*/*.safetensors"))
    told = {k: v for k, v in last.items() if k not in ("seconds", "run", "tokens")}
    return {**told, "files": files, "evaluations": evaluations, "checkpoints": checkpoints}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    directory = tmp_path_factory.mktemp("undisturbed")
    assert process(directory) == 0
    found = outcome(directory)
    assert [lap["candidate"] for lap in found["main"]["laps"]] == ["native", "s1r1c1", "native", "s3r1c1"]
    assert [lap["rolled_back_to"] for lap in found["main"]["laps"]] == [None, None, 1, None]
    return found


def ends_alike(directory: Path, undisturbed: dict[str, Any], places: Sequence[str]) -> None:
    for place in places:
        (directory / "marker").write_text(place)
        assert process(directory) == -signal.SIGKILL, place
        assert not (directory / "marker").exists()
    assert process(directory) == 0
    found = outcome(directory)
    for name, value in undisturbed.items():
        assert found[name] == value, name
    trained = (directory / "log").read_text().split()
    assert len(trained) == len(set(trained)), "a finished branch is never trained again"
    events = list(RunDirectory.open(directory / "run").events())
    assert sorted(e["branch"] for e in events if e["event"] == "tool_result") == sorted(trained)


def test_a_main_run_killed_in_a_promotion_and_a_rollback(tmp_path, undisturbed):
    ends_alike(tmp_path, undisturbed, SOME)


@pytest.mark.slow
def test_a_main_run_killed_again_and_again(tmp_path, undisturbed):
    ends_alike(tmp_path, undisturbed, PLACES)
