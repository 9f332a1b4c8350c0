"""Environments of others on the command line: options, cards, and one sentence for every mistake."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from marlsmith.cli import app

UNEVEN = "pettingzoo:environments_for_tests:Uneven"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's directory with a module of theirs."""
    shutil.copy(Path(__file__).with_name("environments_for_tests.py"), tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def marlsmith(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_options_reach_the_factory(here: Path) -> None:
    shown = marlsmith("tasks", UNEVEN, "--task-option", "max_cycles=6", "--task-option", "length=3", "--json")
    assert shown.exit_code == 0, shown.output
    card = json.loads(shown.stdout)
    assert card["horizon"] == 6
    assert card["name"] == f"{UNEVEN}?length=3&max_cycles=6"


def test_train_and_check_take_a_card_of_the_user(here: Path) -> None:
    (here / "mine.toml").write_text(f'environment = "{UNEVEN}"\nscore = {{ from = "info:caught", reduce = "max" }}\n')
    (here / "signal.py").write_text("def agent_reward(state):\n    return state.reward - state.time[:, None]\n")
    checked = marlsmith("check", "signal.py", "--task", "mine.toml", "--json")
    assert json.loads(checked.stdout)["accepted"], checked.output
    trained = marlsmith(
        "train", "--task", "mine.toml", "--task-option", "length=4", "--signal", "signal.py",
        "--steps", 400, "--seeds", 2, "--episodes", 2, "--json",
    )  # fmt: skip
    assert trained.exit_code == 0, trained.output
    assert json.loads(trained.stdout)["metrics"]["caught"] == 8.0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--task", "pettingzoo:nowhere:make"], "No module named 'nowhere'"),
        (["--task", "gone.toml"], "Cannot read the task card"),
        (["--task", UNEVEN, "--task-option", "length"], "KEY=VALUE"),
        (["--task", UNEVEN, "--task-option", "size=3"], "unexpected keyword argument 'size'"),
    ],
)
def test_mistakes_are_one_sentence(arguments: list[str], words: str) -> None:
    result = marlsmith("train", *arguments)
    assert result.exit_code == 2, result.output
    assert len(result.stderr.strip().splitlines()) == 1
    assert words in result.stderr
