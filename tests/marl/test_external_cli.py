"""Environments of others on the command line: options, cards, and one sentence for every mistake."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from marlsmith.cli import app
from marlsmith.graph.telling.story import Story
from marlsmith.schemas import Evaluation

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


REACHER = "pettingzoo:environments_for_tests:Reacher"
CONTRADICTS = f"""
environment = "{REACHER}"
target = "goal"
reach = 0.2
[[fields]]
name = "point_pos"
columns = [0, 2]
kind = "position"
[[fields]]
name = "goals_seen"
columns = [2, 6]
kind = "position"
of = "goal"
[[fields]]
name = "goal_pos"
columns = [2, 6]
agent = 0
shape = [2, 2]
[[entities]]
name = "agent"
count = 2
position = "point_pos"
radius = 0.05
[[entities]]
name = "goal"
count = 1
position = "goal_pos"
radius = 0.05
"""


@pytest.mark.parametrize("command", [("tasks",), ("run", "--task"), ("train", "--task"), ("check", "s.py", "--task")])
def test_a_card_that_contradicts_its_shapes_is_refused_before_anything_starts(
    here: Path, command: tuple[str, ...]
) -> None:
    (here / "mine.toml").write_text(CONTRADICTS)
    (here / "s.py").write_text("def agent_reward(state):\n    return state.reward\n")
    result = marlsmith(*command, "mine.toml")
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("marlsmith: The task does not keep its card: goal_pos after the first episode has")
    assert not (here / "runs").exists()


def faulty(here: Path, how: str, once: bool) -> None:
    """Its environments fail in step 3, which is after the comparison with the card."""
    (here / "mine.toml").write_text(
        f'environment = "pettingzoo:environments_for_tests:Faulty"\n'
        f'options = {{ flag = "{here}/flag", once = {str(once).lower()} }}\n'
    )
    looked = marlsmith("tasks", "mine.toml")
    assert looked.exit_code == 0, looked.output
    (here / "flag").write_text(how)


SMALL = ("--steps", 400, "--seeds", 2, "--episodes", 2)


def test_a_restart_is_a_warning_on_stderr(here: Path) -> None:
    faulty(here, "segfault", once=True)
    result = marlsmith("train", "--task", "mine.toml", *SMALL, "--json")
    assert result.exit_code == 0, result.output
    assert result.stderr.startswith("marlsmith: warning: environments were started again once")
    assert result.stderr.strip().endswith("episodes cut short: it died by SIGSEGV")
    assert "score" in json.loads(result.stdout)


def test_a_restart_is_shown_in_the_trace_of_a_run() -> None:
    evaluation = Evaluation(candidate="c", branch="b", seeds=(0,), steps=1, score=1.0, warnings=("started again once",))
    console = Console(width=100)
    with console.capture() as shown:
        for line in Story().lines({"event": "tool_result", "branch": "b", "evaluation": evaluation.model_dump()}):
            console.print(line)
    assert "b: started again once" in shown.get()


def test_a_failure_is_said_once(here: Path) -> None:
    faulty(here, "raise", once=False)
    result = marlsmith("train", "--task", "mine.toml", *SMALL)
    assert result.stderr == "marlsmith: the training failed (environment): ValueError: the cable broke\n"


def test_a_factory_that_breaks_down_after_the_look_is_a_sentence(here: Path) -> None:
    faulty(here, "raise", once=False)
    (here / "flag.broken").touch()
    result = marlsmith("train", "--task", "mine.toml", *SMALL)
    assert result.exit_code == 2, result.output
    assert "failed: RuntimeError: out of cables. Mend it" in result.stderr
