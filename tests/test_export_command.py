"""`marlsmith export` on a run of its own: what it says, what it refuses, and that another library learns from it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from marlsmith.cli import app

ROOT = Path(__file__).parent.parent
SMALL = ["--steps", "400", "--episodes", "4", "--seeds", "2", "--confirm-seeds", "2", "--rounds", "1"]


def marlsmith(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "short"
    done = marlsmith("run", "--plain", *SMALL, "--candidates", 1, "--workers", 1, "--out", path)
    assert done.exit_code == 0, done.output
    return path


def test_a_run_is_taken_home(run: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    done = marlsmith("export", run, home)
    assert done.exit_code == 0, done.output
    facts = json.loads((home / "export.json").read_text("utf-8"))
    last = json.loads((run / "events.jsonl").read_text("utf-8").splitlines()[-1])
    assert facts["candidate"]["id"] == last["best"]["candidate"]
    assert facts["candidate"]["promoted"] == last["promoted"]
    assert done.stdout.startswith(f"{last['best']['candidate']} ({'' if last['promoted'] else 'not '}promoted")
    assert "policy of 2 seeds" in done.stdout
    for name in ("learning_signal.py", "signal_env.py", "policy.py", "README.md"):
        assert f"{home}/{name}" in done.stdout
        assert (home / name).is_file()
    again = marlsmith("export", run, home)
    assert (again.exit_code, again.stdout) == (2, "")
    assert again.stderr == f"marlsmith: {home} is not empty: choose another directory\n"


def test_what_cannot_be_taken_home_is_one_sentence(run: Path, tmp_path: Path) -> None:
    for arguments, words in (
        ([tmp_path / "nowhere", tmp_path / "home"], "is not a run"),
        ([run, tmp_path / "home", "--candidate", "s1r1c9"], "no candidate 's1r1c9': did you mean s1r1c1?"),
    ):
        done = marlsmith("export", *arguments)
        assert (done.exit_code, done.stdout) == (2, "")
        assert len(done.stderr.splitlines()) == 1
        assert words in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_an_exported_signal_improves_another_library(tmp_path: Path) -> None:
    """The offline designer's winner, in Stable-Baselines3's PPO: its interval over the native reward excludes zero."""
    done = marlsmith("run", "--plain", "--rounds", 2, "--out", tmp_path / "run")
    assert done.exit_code == 0, done.output
    assert marlsmith("export", tmp_path / "run", tmp_path / "home").exit_code == 0
    script, out = ROOT / "benchmarks" / "exported.py", tmp_path / "exported.json"
    command = [sys.executable, script, tmp_path / "home", "--steps", "20000", "--seeds", "3", "--episodes", "20"]
    subprocess.run([*map(str, command), "--out", str(out)], check=True, cwd=tmp_path)
    found = json.loads(out.read_text())
    assert found["gain"]["interval"][0] > 0, found
