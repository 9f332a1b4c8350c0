"""`marlsmith approve`: one of three answers, from any terminal; whatever is wrong with it is said in a sentence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from marlsmith.cli import app
from marlsmith.graph.methods import PRESETS, RunSettings
from marlsmith.graph.run_directory import RunDirectory
from marlsmith.graph.wiring import fingerprint

SMALL = [
    "--steps", "400", "--episodes", "2", "--seeds", "2", "--confirm-seeds", "2", "--workers", "2",
    "--rounds", "1", "--candidates", "1", "--population", "1", "--no-validator",
]  # fmt: skip
MINE = "def agent_reward(state):\n    return -0.1 * state.agent_vel.norm(dim=-1)\n"


def marlsmith(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A run that waits. A margin of -100 lets anything pass the gate."""
    run = tmp_path_factory.mktemp("asked") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "lero", PRESETS["lero"].model_copy(update={"margin": -100.0}))
        return run, marlsmith("run", *SMALL, "--out", run, "--approve", "--plain")


@pytest.fixture
def waiting(asked: tuple[Path, Result], tmp_path: Path) -> Path:
    """A copy of it, as on another machine."""
    return Path(shutil.copytree(asked[0], tmp_path / "run"))


def refused(result: Result, words: str) -> None:
    assert result.exit_code == 2, result.output
    (sentence,) = result.stderr.strip().splitlines()
    assert sentence.startswith("marlsmith: ")
    assert words in sentence


def test_the_sheet_is_shown_and_shown_again(asked: tuple[Path, Result], waiting: Path) -> None:
    _, result = asked
    assert result.exit_code == 10
    shown, again = marlsmith("show", waiting), marlsmith("resume", waiting, "--plain")
    assert again.exit_code == 10
    for text in (result.stderr, shown.stdout, again.stderr):
        for words in ("Promote s1r1c1 into the main run, in stage 1?", "confirmation, fresh", "--edit FILE"):
            assert words in text
    last = json.loads(marlsmith("show", waiting, "--json").stdout.splitlines()[-1])
    assert (last["event"], last["status"]) == ("approval", "asked")
    assert last["confirm"]["scores"]
    assert last["curves"]["candidate"]
    assert last["cost"]["environment_steps"] == 4 * 2 * 400


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ([], "the answer is missing: say one of --yes, --no or --edit FILE"),
        (["--yes", "--no"], "--yes and --no exclude each other"),
        (["--yes", "--edit", "mine.py"], "--yes and --edit exclude each other"),
        (["--edit", "nowhere.py"], "cannot read nowhere.py (no such file or directory)"),
        (["--edit", "none.py"], "none.py is refused (static): "),
        (["--edit", "none.json"], "none.json is refused (static): "),
    ],
)
def test_an_answer_that_is_none_touches_nothing(
    waiting: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "none.py").write_text("x = 1\n")
    (tmp_path / "none.json").write_text('{"terms": []}')
    before = {file: file.stat().st_mtime_ns for file in waiting.rglob("*")}
    refused(marlsmith("approve", waiting, *said), words)
    assert {file: file.stat().st_mtime_ns for file in waiting.rglob("*")} == before


def test_where_nothing_is_asked_no_answer_is_taken(tmp_path: Path) -> None:
    refused(marlsmith("approve", tmp_path / "nowhere", "--yes"), "is not a run")
    run = RunDirectory.create(tmp_path / "run", RunSettings(task="mpe/simple_spread"), fingerprint()).path
    refused(marlsmith("approve", run, "--yes"), "waits for no approval: go on with `marlsmith resume")


@pytest.mark.slow
def test_a_persons_signal_is_tried_and_the_question_comes_again(waiting: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text(MINE)
    result = marlsmith("approve", waiting, "--edit", mine, "--reason", "[calmer]", "--plain")
    assert result.exit_code == 10, result.output
    assert "tries s1r1c1-edit1 in the place of s1r1c1: [calmer]" in " ".join(result.stderr.split())
    candidate = RunDirectory.open(waiting).candidate("s1r1c1-edit1")
    assert (candidate.kind, candidate.rationale) == ("edit", "[calmer]")
    assert candidate.signal.reward is not None
    last = marlsmith("approve", waiting, "--no", "--reason", "neither", "--json")
    while last.exit_code == 10:  # about what the edit stood in for, where the edit has passed
        last = marlsmith("approve", waiting, "--no", "--reason", "neither", "--json")
    assert last.exit_code == 0, last.output
    finished = json.loads(last.stdout.splitlines()[-1])
    assert finished["promoted"] is False
    assert finished["reason"] == "a person refused the promotion: neither"
    refused(marlsmith("approve", waiting, "--yes"), "has finished and waits for no approval")
